// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Synchronization

/// Runs blocking work serially on a thread outside the cooperative pool.
struct BlockingQueue: Sendable {
    private let queue: DispatchQueue

    init(label: String) { queue = DispatchQueue(label: label) }

    /// Runs `work` and returns its result, but waits at most `limit`.
    ///
    /// A thread that hangs in a call to dead storage cannot be stopped. The caller then receives the error `stalled`,
    /// with whether the work had begun; work that had not begun is dropped.
    func run<Value: Sendable>(
        within limit: Duration,
        stalled: @escaping @Sendable (_ begun: Bool) -> LedgerError,
        work: @escaping @Sendable () throws(LedgerError) -> Value
    ) async throws(LedgerError) -> Value {
        let stage = StageBox()
        let result: Result<Value, LedgerError> = await withCheckedContinuation { continuation in
            queue.async {
                guard stage.move(from: .waiting, to: .running) else { return }
                let result = Result { () throws(LedgerError) in try work() }
                if stage.move(from: .running, to: .ended) { continuation.resume(returning: result) }
            }
            let nanoseconds =
                Int(limit.components.seconds) * 1_000_000_000 + Int(limit.components.attoseconds / 1_000_000_000)
            DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) {
                if stage.move(from: .waiting, to: .ended) {
                    continuation.resume(returning: .failure(stalled(false)))
                } else if stage.move(from: .running, to: .ended) {
                    continuation.resume(returning: .failure(stalled(true)))
                }
            }
        }
        return try result.get()
    }

    /// The stage of a piece of work; whoever moves it to `ended` resumes the caller.
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
