// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import HostOS
internal import Hypervisor

/// Blocking libvirt calls of one kind, each on its own thread outside the cooperative pool.
///
/// A call that hangs keeps its thread until it returns, and libvirtd reads nothing more from a client with 5 unanswered
/// requests (`max_client_requests`). Each kind therefore has its own slots and its own connection: calls of one kind
/// that hang cannot stop the others.
struct BlockingCalls: Sendable {
    let connector: Connector
    /// Limit of one call.
    let limit: Duration
    var slots = CallSlots(64)

    /// Runs `body` on the open connection and returns its result; throws `.timedOut` after the limit.
    ///
    /// A late call ends on its own thread, and its result is dropped.
    func run<R: Sendable>(
        _ attempt: String,
        _ body: @Sendable @escaping (Connection) throws -> R
    ) async throws(HypervisorError) -> R {
        let connector = connector
        return try await slots.run(
            within: limit,
            full: HypervisorError(.notConnected, attempt: attempt, detail: slots.full),
            late: HypervisorError(.timedOut, attempt: attempt, detail: "libvirt did not answer within \(limit.text)")
        ) { () throws(HypervisorError) -> R in try connector.use(attempt, body) }
    }
}

extension CallSlots {
    /// Why no call can begin now.
    var full: String { "\(count) earlier calls have not returned; is libvirtd stuck?" }
}
