// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import HostOS
internal import Synchronization

/// Blocking calls to the libvirt of other hosts, one at a time to each.
///
/// Only moves use them, each to its target. libvirt has no time limit for opening a remote connection: a call to a
/// target that hangs keeps its thread. A second call begins only once the first one counts as lost, because a host that
/// lost its power may never answer it.
final class PeerCalls: Sendable {
    private struct Turn {
        var gate = DispatchSemaphore(value: 1)
        var begun: ContinuousClock.Instant?
        /// Calls that never returned.
        var lost = 0
    }

    private let turns = Mutex<[String: Turn]>([:])
    private let patience: Duration
    /// Each lost call holds a thread.
    private static let mostLost = 8

    /// `patience`: time after which a call that has not returned counts as lost.
    init(patience: Duration = .seconds(120)) { self.patience = patience }

    /// Returns the result; `nil` if the call, or an earlier one to this URI, has not returned within the limit.
    func run<R: Sendable>(
        at uri: String,
        within limit: Duration,
        _ call: @Sendable @escaping () throws -> R
    ) -> Result<R, any Error>? {
        let gate = gate(of: uri)
        let deadline = ContinuousClock.now + limit
        guard gate.wait(timeout: .now() + DispatchTimeInterval(limit)) == .success else { return nil }
        turns.withLock { if $0[uri]?.gate === gate { $0[uri]?.begun = .now } }
        let outstanding = OutstandingCall { [self] in
            defer {
                turns.withLock { if $0[uri]?.gate === gate { $0[uri]?.begun = nil } }
                gate.signal()
            }
            return try call()
        }
        return outstanding.wait(max(.zero, deadline - ContinuousClock.now))
    }

    private func gate(of uri: String) -> DispatchSemaphore {
        turns.withLock { turns in
            var turn = turns[uri] ?? Turn()
            if let begun = turn.begun, .now - begun > patience, turn.lost < Self.mostLost {
                turn = Turn(lost: turn.lost + 1)
            }
            turns[uri] = turn
            return turn.gate
        }
    }
}
