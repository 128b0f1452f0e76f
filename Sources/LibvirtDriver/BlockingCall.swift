// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Hypervisor
internal import Synchronization

/// Runs libvirt calls outside the cooperative pool, each on its own thread.
enum BlockingCall {
    /// Maximum number of unfinished calls; more of them mean that the daemon does not answer.
    private static let ceiling = 64
    private static let out = Mutex(0)

    /// Runs `body` and returns its result; throws `.timedOut` after the limit.
    ///
    /// A late call ends on its own thread, and its result is dropped.
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
            late: { hasBegun in
                if !hasBegun { out.withLock { $0 -= 1 } }
                return HypervisorError(.timedOut, attempt: attempt, detail: "libvirt did not answer within \(limit)")
            },
            { () throws(HypervisorError) in
                defer { out.withLock { $0 -= 1 } }
                return try body()
            }
        )
    }
}
