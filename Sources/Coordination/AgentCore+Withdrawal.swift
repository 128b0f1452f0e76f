// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Removes the definition that a failed offline move left on this host, its target.
///
/// An operator may start the VM at the source while its definition is on its way. The source then reports that the VM is
/// active there, and the definition here could start it a second time.
extension AgentCore {
    mutating func withdrawDefinitions(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp, !mutations.contains(.withdrawsNothing) else { return }
        let due = work.values.filter {
            $0.mustWithdraw(on: host) && $0.withdrawal.isDue(at: instant) && $0.isIdle
        }
        for item in due.sorted(by: { $0.order.id < $1.order.id }) {
            let id = item.order.id
            guard !isOvertaken(item), isRecent(item, at: instant) else {
                work[id]?.withdrawal = .ended
                continue
            }
            work[id]?.withdrawal = .trying
            questions.discardLooks(at: item.order.vm)
            effects.append(.apply(.withdraw, item.order))
        }
    }

    /// Returns whether this host is about to remove the VM's definition.
    func isWithdrawing(_ vm: VMID) -> Bool {
        work.values.contains { $0.order.vm == vm && $0.mustWithdraw(on: host) }
    }

    mutating func withdrawn(
        _ id: OrderID,
        _ result: CopyAction.Result,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        guard let order = work[id]?.order else { return }
        switch result {
        case .done, .notSo: work[id]?.withdrawal = .ended
        case .refused(let reason):
            work[id]?.withdrawal = .ended
            effects.append(.announce(.definitionNotRemoved(id, vm: order.vmName, on: host, detail: reason)))
        case .failed: work[id]?.withdrawal.fail(at: instant)
        }
    }

    /// Returns whether the agent must remember a failed offline move, whose definition here it may have to remove.
    ///
    /// The source may report only now that the VM is active there: it asks again when this host is back.
    func awaitsWithdrawal(_ item: OrderWork, at instant: Instant) -> Bool {
        guard item.mayHaveToWithdraw(on: host) else { return false }
        return isRecent(item, at: instant) || instant - item.readAt < Self.withdrawn
    }

    private func isRecent(_ item: OrderWork, at instant: Instant) -> Bool {
        ledgerTime(instant) - item.state.changedAt < Self.withdrawn
    }

    /// Age of a failure from which its definition is left alone: an operator may have moved the VM here since.
    private static let withdrawn: Duration = .seconds(86400)
}

extension OrderWork {
    var isIdle: Bool { if case .idle = activity { true } else { false } }

    /// Returns whether a failed offline move may have left a definition on this host, its target.
    ///
    /// Only a host that has consented to take the VM acts on another host's word: nothing of it was defined here before.
    func mayHaveToWithdraw(on host: HostName) -> Bool {
        order.isOffline && order.target == host && state.isPrepared && state.stage == .failed && withdrawal != .ended
    }

    /// Returns whether the order's source has reported that the VM is active there and that its definition is here.
    func mustWithdraw(on host: HostName) -> Bool { mayHaveToWithdraw(on: host) && state.isDefinedThere }
}
