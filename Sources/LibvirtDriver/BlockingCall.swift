// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization

/// Runs calls that block on threads of their own, so that no thread of the cooperative pool waits for libvirt.
enum BlockingCall {
    /// Calls that may be out at once; more means that the daemon does not answer.
    private static let ceiling = 64
    private static let out = Mutex(0)

    /// Runs `body` and returns its result, or throws `.timedOut` after the limit; the call itself is then left to end
    /// on its own thread, and its result is dropped.
    static func run<R: Sendable>(
        _ attempt: String,
        limit: Duration,
        _ body: @Sendable @escaping () throws(HypervisorError) -> R
    ) async throws(HypervisorError) -> R {
        let isFull = out.withLock { count in
            if count >= ceiling { return true }
            count += 1
            return false
        }
        guard !isFull else {
            let detail = "\(ceiling) earlier calls have not returned; is libvirtd stuck?"
            throw HypervisorError(.notConnected, attempt: attempt, detail: detail)
        }
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<R, HypervisorError>, _>) in
            let once = Once(continuation)
            detach {
                let result = Result { () throws(HypervisorError) in try body() }
                out.withLock { $0 -= 1 }
                once.resume(result)
            }
            let detail = "libvirt did not answer within \(limit)"
            DispatchQueue.global().asyncAfter(deadline: .now() + limit.inSeconds) {
                once.resume(.failure(HypervisorError(.timedOut, attempt: attempt, detail: detail)))
            }
        }
        return try result.get()
    }

    /// Runs `body` to its end, however long that takes; `body` bounds itself.
    static func unbounded<R: Sendable>(_ body: @Sendable @escaping () -> R) async -> R {
        await withCheckedContinuation { continuation in
            detach { continuation.resume(returning: body()) }
        }
    }

    static func detach(_ body: @Sendable @escaping () -> Void) {
        let thread = Thread(block: body)
        thread.name = "libvirt-call"
        thread.start()
    }

    /// Resumes a continuation with whichever result comes first.
    private final class Once<R: Sendable>: Sendable {
        private let continuation: Mutex<CheckedContinuation<R, Never>?>
        init(_ continuation: CheckedContinuation<R, Never>) { self.continuation = Mutex(continuation) }
        func resume(_ result: R) {
            let waiting = continuation.withLock { held in
                defer { held = nil }
                return held
            }
            waiting?.resume(returning: result)
        }
    }
}
