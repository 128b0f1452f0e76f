// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import HostOS
internal import Synchronization

/// Blocking calls to the libvirt of other hosts, one at a time to each.
///
/// Only moves use them, each to its target. libvirt has no time limit for opening a remote connection: a call to a
/// target that hangs keeps its thread, and no second one is begun.
final class PeerCalls: Sendable {
    private let turns = Mutex<[String: DispatchSemaphore]>([:])

    /// Returns the result; `nil` if the call, or an earlier one to this URI, has not returned within the limit.
    func run<R: Sendable>(
        at uri: String,
        within limit: Duration,
        _ call: @Sendable @escaping () throws -> R
    ) -> Result<R, any Error>? {
        let turn = turns.withLock { turns in
            let turn = turns[uri] ?? DispatchSemaphore(value: 1)
            turns[uri] = turn
            return turn
        }
        let deadline = ContinuousClock.now + limit
        guard turn.wait(timeout: .now() + DispatchTimeInterval(limit)) == .success else { return nil }
        let outstanding = OutstandingCall {
            defer { turn.signal() }
            return try call()
        }
        return outstanding.wait(max(.zero, deadline - ContinuousClock.now))
    }
}
