// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Hands over whether a VM starts with its host.
///
/// libvirt does not transfer it, and it is off at the source while a move runs. So the agent of the host where the VM is
/// after a move that had begun sets it again, and retries until it holds. If no agent can, the source raises an alert.
extension AgentCore {
    mutating func handOverAutostart(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp, !mutations.contains(.losesAutostart) else { return }
        reportLostAutostart(at: instant, effects: &effects)
        oweAutostart()
        let due = work.values.filter { awaitsAutostart($0, at: instant) && $0.autostart.isDue(at: instant) }
        guard !due.isEmpty else { return }
        for item in due.sorted(by: { $0.order.id < $1.order.id }) {
            let newer = work.values.filter { $0.order.vm == item.order.vm && $0.place > item.place }
            if newer.contains(where: \.hasBegun) {
                // It has taken the setting over.
                work[item.order.id]?.autostart = .ended
            } else if newer.allSatisfy(\.state.stage.isFinal) {
                work[item.order.id]?.autostart = .trying
                effects.append(.startWithHost(item.order))
            }
        }
    }

    /// Marks VMs whose autostart must be set once their search is over, however long it takes.
    private mutating func oweAutostart() {
        let searched = work.values.filter {
            $0.isInquiring && !$0.owesAutostart && $0.state.requirements?.startsWithHost == true
        }
        for item in searched { work[item.order.id]?.owesAutostart = true }
    }

    mutating func autostartSet(_ id: OrderID, failure: String?, at instant: Instant) {
        if failure == nil {
            work[id]?.autostart = .ended
        } else {
            work[id]?.autostart.fail(at: instant)
        }
    }

    /// Raises an alert once about each move after which no agent sets the VM's autostart.
    private mutating func reportLostAutostart(at instant: Instant, effects: inout [Effect]) {
        let lost = work.values.filter {
            $0.order.source == host && !$0.hasReportedAutostart && $0.autostartTrouble != nil
        }
        for item in lost.sorted(by: { $0.order.id < $1.order.id }) {
            work[item.order.id]?.hasReportedAutostart = true
            // An earlier incarnation has reported what is older.
            guard let trouble = item.autostartTrouble, !isOvertaken(item),
                ledgerTime(instant) - item.state.changedAt < Self.news
            else { continue }
            effects.append(.announce(.autostartLost(item.order.id, vm: item.order.vmName, trouble)))
        }
    }

    func awaitsAutostart(_ item: OrderWork, at instant: Instant) -> Bool {
        guard item.mustSetAutostart(on: host) else { return false }
        return item.owesAutostart || item.autostart != .open
            || ledgerTime(instant) - item.state.changedAt < Self.settled
    }

    /// Returns whether the VM starts with this host after an earlier order, although that may not be set here yet.
    func awaitsAutostart(_ vm: VMID) -> Bool {
        work.values.contains { item in
            let isSearched = item.isInquiring && item.state.requirements?.startsWithHost == true
            return item.order.vm == vm && (item.mustSetAutostart(on: host) || isSearched)
        }
    }

    /// Age of an order's end from which a restarted agent no longer sets its VM's autostart: an operator may have changed
    /// it since.
    private static let settled = needed
    /// Age of an end up to which a restarted agent repeats its alert.
    private static let news: Duration = .seconds(86400)
}

extension OrderWork {
    /// Why no agent sets the VM's autostart after the end; `nil` if one does, or if there is nothing to set.
    ///
    /// A sealed move transfers it with the definition.
    var autostartTrouble: AgentCore.AutostartTrouble? {
        guard state.mayHaveBegun else { return nil }
        guard let requirements = state.requirements else {
            return state.hasUnseenBeginning && state.stage.isFinal && order.channel != .sealed ? .notRecorded : nil
        }
        guard requirements.startsWithHost == true else { return nil }
        return switch state.stage {
        case .done:
            state.takesOverAutostart || order.channel == .sealed ? nil : .notTakenOver(order.target)
        case .failed: state.failure?.whereabouts == .unknown ? .placeUnknown : nil
        case .submitted, .accepted, .prepared, .running: nil
        }
    }

    /// Returns whether the order has ended with its VM on this host, where it must start with the host.
    ///
    /// While the target may run the VM, too, the copy here must not start with this host.
    func mustSetAutostart(on host: HostName) -> Bool {
        guard autostart != .ended, state.requirements?.startsWithHost == true, !isInquiring else { return false }
        return switch state.stage {
        // Only a host that has agreed to take the VM acts on another host's word.
        case .done: order.target == host && state.isPrepared
        // A move that has not begun has changed nothing.
        case .failed:
            state.mayHaveBegun && state.failure?.whereabouts == .at(host)
                && (order.source == host || state.isPrepared)
        case .submitted, .accepted, .prepared, .running: false
        }
    }
}
