// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Foundation
internal import Synchronization

/// Blocking calls of one kind, each on a thread of its own, at most one at a time, each waited for a bounded time.
///
/// For who must act whatever libvirt does: with QEMU's monitor stuck, a call about the VM may never return although
/// libvirtd still answers keepalive.
final class BackgroundCall: Sendable {
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

    /// Asks once a second until an answer, given the one before, will do; the last answer when the limit has passed.
    static func lastAnswer<Answered: Sendable>(
        within limit: Duration,
        _ question: @Sendable @escaping () throws -> Answered,
        until suffices: (Answered, Answered?) -> Bool
    ) -> Answered? {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        let call = BackgroundCall()
        var former: Answered?
        var last: Answered?
        repeat {
            // The last question gets its time too: an answer that was cut short would hide the one before.
            let now = call.run(within: max(.seconds(1), deadline - clock.now), question)
            if let now, suffices(now, former) { return now }
            former = now
            last = now ?? last
            Thread.sleep(forTimeInterval: max(0, min(1, (deadline - clock.now).inSeconds)))
        } while clock.now < deadline
        return last
    }

    private final class Answer<R: Sendable>: Sendable {
        let given = Mutex<R?>(nil)
        let arrival = DispatchSemaphore(value: 0)
    }
}
