// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Synchronization

/// A blocking call on its own thread; callers can wait for it more than once.
public final class OutstandingCall<R: Sendable>: Sendable {
    private let returned = Mutex<Result<R, any Error>?>(nil)
    private let arrival = DispatchSemaphore(value: 0)

    public init(_ body: @Sendable @escaping () throws -> R) {
        Blocking.detach("blocking-call") { [self] in
            let result = Result { try body() }
            returned.withLock { $0 = result }
            arrival.signal()
        }
    }

    /// Starts a call that keeps a slot until it returns; `nil` if all slots are in use.
    public convenience init?(in slots: CallSlots, _ body: @Sendable @escaping () throws -> R) {
        guard slots.take() else { return nil }
        self.init {
            defer { slots.release() }
            return try body()
        }
    }

    /// Returns the call's result; `nil` if it has not returned in time.
    public func wait(_ limit: Duration) -> Result<R, any Error>? {
        if let result = returned.withLock({ $0 }) { return result }
        _ = arrival.wait(timeout: .now() + DispatchTimeInterval(limit))
        return returned.withLock { $0 }
    }

    /// Waits until the call returns; after the limit, or once `isUnwanted`, calls `end` repeatedly for up to
    /// `patience`.
    ///
    /// Returns the result, `nil` if the call has not returned even then, and whether `end` was called.
    public func wait(
        within limit: Duration,
        patience: Duration,
        unless isUnwanted: () -> Bool = { false },
        end: @Sendable @escaping () throws -> Void
    ) -> (result: Result<R, any Error>?, wasEnded: Bool) {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        while clock.now < deadline, !isUnwanted() {
            if let result = wait(min(.milliseconds(500), deadline - clock.now)) { return (result, false) }
        }
        let lastMoment = clock.now + patience
        let call = BackgroundCall()
        while clock.now < lastMoment {
            call.run(within: .seconds(1), end)
            if let result = wait(.milliseconds(300)) { return (result, true) }
        }
        return (wait(.zero), true)
    }
}
