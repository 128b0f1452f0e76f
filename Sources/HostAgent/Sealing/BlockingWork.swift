// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// Work that blocks, on a thread of its own.
enum BlockingWork {
    /// Returns what the work brings, or throws once the limit has passed.
    ///
    /// Storage that hangs holds that thread, and nobody else. What the work does after the limit counts for nothing.
    static func run<R: Sendable>(
        within limit: Duration,
        _ what: String,
        _ work: @Sendable @escaping () throws -> R
    ) async throws -> R {
        let answer = OneAnswer<R>()
        return try await withCheckedThrowingContinuation { continuation in
            answer.wait(continuation)
            Thread { answer.give(Result { try work() }) }.start()
            let timer = DispatchTime.now() + .milliseconds(Int(limit.inMilliseconds))
            DispatchQueue.global().asyncAfter(deadline: timer) {
                answer.give(
                    .failure(SealingError("\(what) took longer than \(limit). Check whether the storage hangs."))
                )
            }
        }
    }

    private final class OneAnswer<R: Sendable>: Sendable {
        private let waiting = Mutex<CheckedContinuation<R, any Error>?>(nil)
        func wait(_ continuation: CheckedContinuation<R, any Error>) { waiting.withLock { $0 = continuation } }
        func give(_ result: Result<R, any Error>) {
            let continuation = waiting.withLock { waiting in
                defer { waiting = nil }
                return waiting
            }
            continuation?.resume(with: result)
        }
    }
}

extension Duration {
    fileprivate var inMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
