// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Hypervisor
internal import Synchronization

/// Runs libvirt calls on threads of their own, so that no thread of the cooperative pool waits for libvirt.
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
        return try await Blocking.run(
            within: limit,
            late: { _ in HypervisorError(.timedOut, attempt: attempt, detail: "libvirt did not answer within \(limit)") },
            { () throws(HypervisorError) in
                defer { out.withLock { $0 -= 1 } }
                return try body()
            }
        )
    }
}
