// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Foundation
internal import Synchronization

/// Blocking calls of one kind, each on a thread of its own, at most one at a time, each waited for a bounded time.
///
/// For who must act whatever libvirt does: with QEMU's monitor stuck, a call about the VM may never return although
/// libvirtd still answers keepalive.
final class Errand: Sendable {
    private let isOut = Mutex(false)

    /// What the call gave; `nil` if it threw, has not returned in time, or an earlier one has still not returned.
    ///
    /// A call that is too late goes on by itself and what it gives is dropped.
    func run<R: Sendable>(within limit: Duration, _ call: @Sendable @escaping () throws -> R) -> R? {
        let isFree = isOut.withLock { isOut in
            defer { isOut = true }
            return !isOut
        }
        guard isFree else { return nil }
        let answer = Answer<R>()
        BlockingCall.detach { [self] in
            let given = try? call()
            answer.given.withLock { $0 = given }
            isOut.withLock { $0 = false }
            answer.arrival.signal()
        }
        _ = answer.arrival.wait(timeout: .now() + limit.inSeconds)
        return answer.given.withLock { $0 }
    }

    private final class Answer<R: Sendable>: Sendable {
        let given = Mutex<R?>(nil)
        let arrival = DispatchSemaphore(value: 0)
    }
}
