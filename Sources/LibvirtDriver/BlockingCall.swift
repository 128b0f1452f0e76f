// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Hypervisor

/// Runs libvirt calls outside the cooperative pool, each on its own thread.
enum BlockingCall {
    /// More unfinished calls mean that the daemon does not answer.
    private static let slots = CallSlots(64)

    /// Runs `body` and returns its result; throws `.timedOut` after the limit.
    ///
    /// A late call ends on its own thread, and its result is dropped.
    static func run<R: Sendable>(
        _ attempt: String,
        limit: Duration,
        _ body: @Sendable @escaping () throws(HypervisorError) -> R
    ) async throws(HypervisorError) -> R {
        let stuck = "\(slots.count) earlier calls have not returned; is libvirtd stuck?"
        return try await slots.run(
            within: limit,
            full: HypervisorError(.notConnected, attempt: attempt, detail: stuck),
            late: HypervisorError(.timedOut, attempt: attempt, detail: "libvirt did not answer within \(limit)"),
            body
        )
    }
}
