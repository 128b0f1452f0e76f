// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Synchronization

/// Reads files on shared storage outside the cooperative pool, with a time limit.
///
/// A thread that hangs in a read of dead storage cannot be stopped. So there is at most one: while it hangs, further
/// reads fail immediately.
final class StorageReader: Sendable {
    private let queue = DispatchQueue(label: "evenkeel.storage")
    private let isReading = Mutex(false)
    private let limit: Duration
    private let work: @Sendable (String) throws(IdentityError) -> [UInt8]

    init(
        limit: Duration = .seconds(5),
        work: @escaping @Sendable (String) throws(IdentityError) -> [UInt8] = { path throws(IdentityError) in
            try IdentityFiles.readPublished(path)
        }
    ) {
        self.limit = limit
        self.work = work
    }

    func read(_ path: String) async throws(IdentityError) -> [UInt8] {
        let isFree = isReading.withLock { reading in
            defer { reading = true }
            return !reading
        }
        guard isFree else {
            throw .file(path: path, reason: "an earlier read of it still hangs; check the shared storage")
        }
        let result: Result<[UInt8], IdentityError> = await withCheckedContinuation { continuation in
            let answer = Answer(continuation)
            queue.async { [self] in
                let result = Result { () throws(IdentityError) in try work(path) }
                isReading.withLock { $0 = false }
                answer.give(result)
            }
            let milliseconds = Int(
                limit.components.seconds * 1000 + limit.components.attoseconds / 1_000_000_000_000_000
            )
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [limit] in
                let reason = "it was not read within \(limit); check the shared storage"
                answer.give(.failure(.file(path: path, reason: reason)))
            }
        }
        return try result.get()
    }

    /// Resumes the caller once, with the result or the timeout, whichever comes first.
    private final class Answer: Sendable {
        private let continuation: Mutex<CheckedContinuation<Result<[UInt8], IdentityError>, Never>?>

        init(_ continuation: CheckedContinuation<Result<[UInt8], IdentityError>, Never>) {
            self.continuation = Mutex(continuation)
        }

        func give(_ result: Result<[UInt8], IdentityError>) {
            let waiting = continuation.withLock { waiting in
                defer { waiting = nil }
                return waiting
            }
            waiting?.resume(returning: result)
        }
    }
}
