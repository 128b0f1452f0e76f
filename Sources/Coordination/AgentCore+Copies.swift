// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Checks this host's copies of VMs whose moves to it have failed.
///
/// Level-triggered: evaluated with each sample, from this host's hypervisor and the order's own records. Samples of the
/// source are no evidence: a source whose agent has died writes none, and one whose agent lives asks.
extension AgentCore {
    /// Takes the VMs that the hypervisor knows, and begins a check of each copy that may be a second one.
    mutating func checkCopies(known vms: [VMID], newest: [VMID: OrderID], at instant: Instant) {
        guard !mutations.contains(.keepsCopies) else { return }
        let known = Set(vms)
        let left = work.values.filter { $0.mayHaveLeftCopy(on: host) && !$0.copy.isSettled }
        for item in left {
            let id = item.order.id
            work[id]?.copy.observe(isHere: known.contains(item.order.vm), at: instant)
            guard item.withdrawal != .trying, newest[item.order.vm] == id, case .idle = item.activity,
                let decision = work[id]?.copyDecision,
                decision != .keep
            else { continue }
            work[id]?.activity = .checkingCopy(CopyCheck(item.order, at: instant))
        }
    }

    mutating func checkCopy(
        _ id: OrderID,
        effects: inout [Effect],
        _ step: (inout CopyCheck) -> [Effect]
    ) {
        guard case .checkingCopy(var check)? = work[id]?.activity else { return }
        effects += step(&check)
        work[id]?.activity = .checkingCopy(check)
    }

    /// Takes the next step of a check.
    mutating func advanceCheck(_ id: OrderID, at instant: Instant, effects: inout [Effect]) {
        guard let item = work[id], case .checkingCopy(let check) = item.activity else { return }
        if !check.isBusy, isOvertaken(item) || item.copyDecision == .keep {
            // A newer order with this host decides.
            work[id]?.activity = .idle
            return
        }
        checkCopy(id, effects: &effects) { $0.advance(at: instant) }
    }

    mutating func lookedAtCopy(
        _ id: OrderID,
        _ observation: CopyObservation,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        guard case .checkingCopy(let check)? = work[id]?.activity else { return }
        checkCopy(id, effects: &effects) {
            $0.isBusy = false
            return []
        }
        guard case .seen(let presence) = observation else { return }
        switch presence {
        // libvirt may still be about to run or to remove it.
        case .pausedByMigration, .migratingOut: return
        case .running: break
        case .paused:
            settleCopy(id)
            return
        case .inactive, .absent:
            work[id]?.copy.origin = .later
            work[id]?.activity = .idle
            return
        }
        let waited = instant - check.startedAt
        let order = check.order
        switch work[id]?.copyDecision {
        case nil, .keep: work[id]?.activity = .idle
        case .alert:
            guard waited > limits.handover else { return }
            let finding = FailureReason.Finding.mayRunOnBoth(vm: order.vmName, source: order.source, target: host)
            checkCopy(id, effects: &effects) { $0.alert(finding, .unknown) }
        case .pauseUnlessAsked:
            // An answer that is under way is binding.
            guard waited > limits.answer * 2, !questions.isOpen(order.vm) else { return }
            checkCopy(id, effects: &effects) { $0.pause() }
        case .pause:
            guard !questions.isOpen(order.vm) else { return }
            checkCopy(id, effects: &effects) { $0.pause() }
        }
    }

    mutating func appliedToCopy(_ id: OrderID, _ result: CopyAction.Result, effects: inout [Effect]) {
        guard case .checkingCopy(let check)? = work[id]?.activity else { return }
        let (vm, source, target) = (check.order.vmName, check.order.source, host)
        checkCopy(id, effects: &effects) { check in
            (check.isBusy, check.isPausing) = (false, false)
            switch result {
            case .done:
                check.hasAlerted = false
                return check.alert(.duplicatePausedThere(vm: vm, source: source, target: target), .at(source))
            case .refused(let reason), .failed(let reason):
                return check.alert(
                    .duplicateRuns(vm: vm, source: source, target: target, detail: reason),
                    .unknown
                )
            case .notSo: return []
            }
        }
        if result == .done { settleCopy(id) }
    }

    /// Ends the check for good: if the copy runs again, an operator has decided so.
    private mutating func settleCopy(_ id: OrderID) {
        work[id]?.copy.isSettled = true
        work[id]?.activity = .idle
    }

    /// Whether this host is pausing its copy of a VM, and must not answer that it runs it.
    func isPausingCopy(of vm: VMID) -> Bool {
        work.values.contains {
            guard $0.order.vm == vm, case .checkingCopy(let check) = $0.activity else { return false }
            return check.isPausing
        }
    }

    /// Applies this host's own answer about a VM to the orders that may have left a copy of it here.
    mutating func noteAnswer(_ presence: DomainPresence, about vm: VMID) {
        for item in work.values.filter({ $0.order.vm == vm && $0.order.target == host }) {
            let id = item.order.id
            switch presence {
            case .running, .migratingOut: work[id]?.copy.hasAnswered = true
            case .inactive, .absent: if item.mayHaveLeftCopy(on: host) { work[id]?.copy.origin = .later }
            case .paused, .pausedByMigration: break
            }
        }
    }

    /// Applies an end of an order whose target is this host.
    mutating func noteEnd(of id: OrderID, by reporter: HostName?, at instant: Instant) {
        guard let item = work[id], item.order.target == host, item.state.stage == .failed else { return }
        // It asks anew after each end: it has used up all earlier answers.
        if reporter == item.order.source { work[id]?.copy.hasAnswered = false }
        guard isCaughtUp, item.copy.endReadAt == nil else { return }
        work[id]?.copy.endReadAt = instant
    }

    /// Applies that an order between other hosts has begun to move its VM.
    mutating func noteForeignMove(_ order: MigrationOrder, orderedAfter place: Int) {
        for item in work.values where item.order.vm == order.vm && item.place < place {
            work[item.order.id]?.noteMove(to: order.target)
            guard item.order.target == host, !item.copy.isOvertaken else { continue }
            work[item.order.id]?.copy.isOvertaken = true
            // The source of the newer move has used up the earlier answers.
            work[item.order.id]?.copy.hasAnswered = false
        }
    }

    /// Applies that a begun order between other hosts has failed, with its VM at its source.
    mutating func noteFailedForeignMove(_ order: MigrationOrder, orderedAfter place: Int) {
        for item in work.values where item.order.vm == order.vm && item.place < place && item.movedTo != nil {
            work[item.order.id]?.noteMove(to: order.source)
        }
    }
}

extension OrderWork {
    /// Notes the host to which another host has moved the VM; the order's own target answers for itself.
    mutating func noteMove(to other: HostName) { movedTo = other == order.target ? nil : other }

    /// Whether the order's move may have left a copy of the VM on its target, which is this host.
    ///
    /// A sealed move leaves none: its handover decides.
    func mayHaveLeftCopy(on host: HostName) -> Bool {
        order.target == host && order.source != host && order.channel != .sealed && state.stage == .failed && hasBegun
    }

    /// The decision about the running copy here; `nil` before the first look after the end.
    var copyDecision: CopyDecision? {
        guard !copy.isSettled, let origin = copy.origin else { return nil }
        let place = RecordedPlace(state, isOvertaken: copy.isOvertaken)
        return CopyDecision(place, origin, hasAnswered: copy.hasAnswered)
    }

    var isCheckingCopy: Bool { if case .checkingCopy = activity { true } else { false } }
}
