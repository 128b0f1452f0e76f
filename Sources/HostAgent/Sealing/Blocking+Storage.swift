// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS

extension Blocking {
    /// More unfinished calls mean that the storage hangs; each of them holds a thread.
    static let storageSlots = CallSlots(32)
    /// The disks of VMs have slots of their own: their storage must not stop the journal.
    static let diskSlots = CallSlots(32)
    /// The checks for samples come again and again: on storage that hangs, they must not use up the slots of orders.
    static let sampledDiskSlots = CallSlots(8)

    /// Runs `work` on storage that may hang; `what` describes it in the error.
    static func onStorage<R: Sendable>(
        in slots: CallSlots = storageSlots,
        within limit: Duration,
        _ what: String,
        _ work: @Sendable @escaping () throws -> R
    ) async throws -> R {
        let full = "\(what) was not tried: \(slots.count) earlier calls hang. Check the storage."
        return try await slots.run(
            within: limit,
            full: SealingError(full) as any Error,
            late: SealingError(late: what, limit) as any Error,
            work
        )
    }
}

extension SealingError {
    init(late what: String, _ limit: Duration) {
        self.init("\(what) took longer than \(limit.text). Check whether the storage hangs.")
    }
}
