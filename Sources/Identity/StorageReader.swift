// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import HostOS

/// Reads files on shared storage outside the cooperative pool, with a time limit.
///
/// A thread that hangs in a read of dead storage cannot be stopped. So there is at most one: while it hangs, further
/// reads fail immediately.
final class StorageReader: Sendable {
    private let slot = CallSlots(1)
    private let limit: Duration
    private let work: @Sendable (String) throws(IdentityError) -> [UInt8]

    init(
        limit: Duration = .hangLimit,
        work: @escaping @Sendable (String) throws(IdentityError) -> [UInt8] = { path throws(IdentityError) in
            try IdentityFiles.readPublished(path)
        }
    ) {
        self.limit = limit
        self.work = work
    }

    func read(_ path: String) async throws(IdentityError) -> [UInt8] {
        try await slot.run(
            within: limit,
            full: .file(path: path, reason: "an earlier read of it still hangs; check the shared storage"),
            late: .file(path: path, reason: "it was not read within \(self.limit.text); check the shared storage")
        ) { [work] () throws(IdentityError) in try work(path) }
    }
}
