// SPDX-License-Identifier: Apache-2.0
import HostOS

extension Blocking {
    /// Runs `work` on storage that may hang; `what` describes it in the error.
    static func onStorage<R: Sendable>(
        within limit: Duration,
        _ what: String,
        _ work: @Sendable @escaping () throws -> R
    ) async throws -> R {
        let late: @Sendable (Bool) -> any Error = { _ in SealingError(late: what, limit) }
        return try await run(within: limit, late: late, work)
    }
}

extension SealingError {
    init(late what: String, _ limit: Duration) {
        self.init("\(what) took longer than \(limit). Check whether the storage hangs.")
    }
}
