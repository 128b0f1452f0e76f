// SPDX-License-Identifier: Apache-2.0
public import Dispatch
internal import Foundation
internal import Synchronization

/// Runs calls that may block forever, outside the cooperative pool.
///
/// A thread that hangs in a call to dead storage or a stuck daemon cannot be stopped. It ends on its own, and its
/// result is dropped.
public enum Blocking {
    /// Starts `work` on a thread of its own; `name` has at most 15 bytes.
    public static func detach(_ name: String, _ work: @Sendable @escaping () -> Void) {
        let thread = Thread(block: work)
        thread.name = name
        thread.start()
    }

    /// Runs `work` on its own thread until it ends, without a time limit.
    public static func run<Value: Sendable, Failure: Error>(
        _ work: @Sendable @escaping () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            detach("blocking-call") {
                continuation.resume(returning: Result { () throws(Failure) in try work() })
            }
        }
        return try result.get()
    }

    /// Runs `work` on its own thread, or serially on `queue`, and returns its result.
    ///
    /// Throws `late` once the limit has passed; its argument is whether the work had begun. Work that has not begun is
    /// dropped.
    public static func run<Value: Sendable, Failure: Error>(
        within limit: Duration,
        on queue: DispatchQueue? = nil,
        late: @Sendable @escaping (_ hasBegun: Bool) -> Failure,
        _ work: @Sendable @escaping () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let stage = StageBox()
        // A timer that is cancelled releases what it holds; a block of `asyncAfter` would stay until the limit.
        let timer = DispatchSource.makeTimerSource()
        defer { timer.cancel() }
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            let call: @Sendable () -> Void = {
                guard stage.move(from: .waiting, to: .running) else { return }
                let result = Result { () throws(Failure) in try work() }
                if stage.move(from: .running, to: .ended) { continuation.resume(returning: result) }
            }
            if let queue { queue.async(execute: call) } else { detach("blocking-call", call) }
            timer.setEventHandler {
                if stage.move(from: .waiting, to: .ended) {
                    continuation.resume(returning: .failure(late(false)))
                } else if stage.move(from: .running, to: .ended) {
                    continuation.resume(returning: .failure(late(true)))
                }
            }
            timer.schedule(deadline: .now() + DispatchTimeInterval(limit))
            timer.activate()
        }
        return try result.get()
    }

    /// The stage of a call; whoever moves it to `ended` resumes the caller.
    private final class StageBox: Sendable {
        enum Stage { case waiting, running, ended }
        private let stage = Mutex(Stage.waiting)

        func move(from: Stage, to: Stage) -> Bool {
            stage.withLock { stage in
                guard stage == from else { return false }
                stage = to
                return true
            }
        }
    }
}

extension DispatchTimeInterval {
    /// Saturates at 292 years, because a `Duration` can be longer than nanoseconds can count.
    public init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (whole, overflowed) = Int(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, isTooLong) = whole.addingReportingOverflow(Int(attoseconds / 1_000_000_000))
        self = .nanoseconds(overflowed || isTooLong ? .max : sum)
    }
}
