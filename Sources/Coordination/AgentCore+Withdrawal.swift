// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Removes the definition that a failed offline move left on this host, its target.
///
/// An operator may start the VM at the source while its definition is on its way. The source then reports that the VM is
/// active there, and the definition here could start it a second time.
extension AgentCore {
    mutating func withdrawDefinitions(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp else { return }
        let due = work.values.filter { item in
            item.mustWithdraw(on: host) && item.withdrawal.isDue(at: instant) && item.isIdle
                && instant - item.state.changedAt < Self.withdrawn
        }
        for item in due.sorted(by: { $0.order.id < $1.order.id }) {
            let id = item.order.id
            guard !isOvertaken(item) else {
                work[id]?.withdrawal = .ended
                continue
            }
            work[id]?.withdrawal = .trying
            effects.append(.apply(.withdraw, item.order))
        }
    }

    /// Age of a failure from which its definition is left alone: an operator may have moved the VM here since.
    private static let withdrawn: Duration = .seconds(86400)
}

/// Whether the definition that a failed offline move left on its target has been removed.
enum Withdrawal: Sendable, Equatable {
    case open
    case trying
    /// The hypervisor did not answer.
    case failed(nextTry: Instant)
    case ended

    private static let pause: Duration = .seconds(10)

    func isDue(at instant: Instant) -> Bool {
        switch self {
        case .open: true
        case .trying, .ended: false
        // A clock that was set back must not delay the next try for longer than the pause.
        case .failed(let nextTry): instant >= nextTry || nextTry - instant > Self.pause
        }
    }

    mutating func end(_ result: CopyAction.Result, at instant: Instant) {
        switch result {
        case .done, .notSo, .refused: self = .ended
        case .failed: self = .failed(nextTry: instant + Self.pause)
        }
    }
}

extension OrderWork {
    var isIdle: Bool { if case .idle = activity { true } else { false } }

    /// Returns whether the order's source has reported that the VM is active there and that its definition is here.
    ///
    /// Only a host that has consented to take the VM acts on another host's word: nothing of it was defined here before.
    func mustWithdraw(on host: HostName) -> Bool {
        guard order.isOffline, order.target == host, withdrawal != .ended, state.isPrepared, state.isDefinedThere
        else { return false }
        return true
    }
}
