// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Foundation
internal import Synchronization

/// Runs blocking calls of one kind on their own threads, at most one at a time, each with a time limit.
///
/// For callers on a thread of their own that must continue even if a call never returns. If QEMU's monitor is stuck, a
/// libvirt call about the VM may never return, although libvirtd still answers keepalive.
public final class BackgroundCall: Sendable {
    private let isOut = Mutex(false)

    public init() {}

    /// Returns the result; `nil` if the call threw, has not returned in time, or an earlier call has not returned.
    ///
    /// A late call ends on its own, and its result is dropped.
    @discardableResult
    public func run<R: Sendable>(within limit: Duration, _ call: @Sendable @escaping () throws -> R) -> R? {
        let isFree = isOut.withLock { isOut in
            defer { isOut = true }
            return !isOut
        }
        guard isFree else { return nil }
        let outstanding = OutstandingCall {
            defer { self.isOut.withLock { $0 = false } }
            return try call()
        }
        return try? outstanding.wait(limit)?.get()
    }

    /// Repeats a query once a second until `suffices` accepts an answer, given the previous one.
    ///
    /// Returns the last answer once the limit has passed; `nil` without any.
    public static func lastAnswer<Answered: Sendable>(
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
            // The last query gets at least one second: cutting it short would lose its answer.
            let now = call.run(within: max(.seconds(1), deadline - clock.now), question)
            if let now, suffices(now, former) { return now }
            former = now
            last = now ?? last
            let pause = max(.zero, min(.seconds(1), deadline - clock.now))
            Thread.sleep(forTimeInterval: pause / .seconds(1))
        } while clock.now < deadline
        return last
    }
}
