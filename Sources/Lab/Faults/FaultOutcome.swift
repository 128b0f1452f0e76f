// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The state of a cell's VM after its fault.
public enum FaultOutcome: String, Sendable, Codable, CaseIterable {
    /// It runs on one host, and never stopped in between.
    case runs
    /// It runs on one host, and was booted once.
    case booted
    /// It is off and defined on one host: an operator starts it.
    case off
    /// It runs on one host; a definition is left where it may have run since: an operator removes that one.
    case leftover
    /// It runs on one host; another copy that ran too was paused by its agent: an operator removes that one.
    case duplicatePaused = "duplicate-paused"
    /// The order ended in a doubt that only an operator may decide, and no copy runs.
    case doubt

    /// Whether an operator has to act.
    public var needsOperator: Bool { [.off, .leftover, .duplicatePaused, .doubt].contains(self) }
}

/// The outcomes that each fault may have: the one table of expectations.
extension FaultCell {
    /// Outcomes that are not listed here break a rule.
    ///
    /// | fault | why it is not always `runs` |
    /// |---|---|
    /// | QEMU at the source killed | the VM ended; no agent may start it, because its owner may have shut it down |
    /// | QEMU at the target killed after it has run | the VM ended there; its disks are newer than the source's memory |
    /// | source without power | its own guests boot again with it, or the VM is at the target |
    /// | target without power after the VM has run there | as for its QEMU |
    /// | an answer lost at the switch-over | libvirt itself resumes the source's copy: the agent pauses it |
    public var allowedOutcomes: Set<FaultOutcome> {
        switch (component, action) {
        // The paused copy is no longer the VM.
        case (.sourceQEMU, .kill) where phase == .moved: [.runs]
        case (.sourceQEMU, .kill): phase.isBeforeSwitchOver ? [.off] : [.off, .runs, .doubt]
        case (.targetQEMU, .kill): phase == .copying ? [.runs] : [.runs, .off, .leftover, .doubt]
        case (.sourceHost, .kill): sourceWithoutPower
        case (.targetHost, .kill): phase.mayHaveRunAtTarget ? [.runs, .booted, .off, .leftover, .doubt] : [.runs]
        default: mayLoseAnswer ? [.runs, .duplicatePaused] : [.runs]
        }
    }

    /// Returns the allowed outcomes after what the fault has really struck.
    ///
    /// After the order's end, the VM runs or its new host may have lost it.
    func allowedOutcomes(after hit: FaultHit) -> Set<FaultOutcome> {
        switch hit {
        case .inPhase, .otherPhase(nil): return allowedOutcomes
        case .otherPhase(let other?):
            let later = FaultCell(component, action, other, channel)
            return allowedOutcomes.union(later.allowedOutcomes).union([.runs])
        case .afterEnd:
            guard action == .kill else { return allowedOutcomes.union([.runs]) }
            switch component {
            case .sourceHost, .targetHost: return allowedOutcomes.union([.runs, .booted])
            case .sourceQEMU, .targetQEMU: return allowedOutcomes.union([.runs, .off])
            default: return allowedOutcomes.union([.runs])
            }
        case .nothing: return [.runs]
        }
    }

    private var sourceWithoutPower: Set<FaultOutcome> {
        switch phase {
        case .accepted, .prepared, .begun, .copying, .saving: [.booted]
        case .switchOver: [.booted, .runs, .doubt]
        case .handedOver, .restoring: [.booted, .runs]
        case .moved: [.runs]
        }
    }

    /// Whether libvirt's last answer about a live move may be lost while both hosts run.
    private var mayLoseAnswer: Bool {
        guard [.switchOver, .moved].contains(phase), channel != .sealed else { return false }
        return switch component {
        case .sourceLibvirtd, .targetLibvirtd, .link, .sourceHost, .targetHost, .targetQEMU, .storage: true
        default: false
        }
    }

    /// The host that loses power, so that all its guests boot again; `nil` if none does.
    var hostWithoutPower: Component? { component.isHost && action == .kill ? component : nil }
}

extension FaultCell.Component {
    var isHost: Bool { self == .sourceHost || self == .targetHost }
}

extension MovePhase {
    fileprivate var isBeforeSwitchOver: Bool { [.accepted, .prepared, .begun, .copying].contains(self) }
    /// Not `handedOver`: the target may run a sealed VM only once its source has released it.
    fileprivate var mayHaveRunAtTarget: Bool { [.switchOver, .restoring, .moved].contains(self) }
}
