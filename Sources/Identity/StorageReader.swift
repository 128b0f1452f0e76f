// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Synchronization

/// Reads files on shared storage outside the cooperative pool, with a time limit.
///
/// A thread that hangs in a read of dead storage cannot be stopped. So there is at most one: while it hangs, further
/// reads fail immediately.
final class StorageReader: Sendable {
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
        let reason = "it was not read within \(limit); check the shared storage"
        return try await Blocking.run(
            within: limit,
            late: { [self] hasBegun in
                if !hasBegun { isReading.withLock { $0 = false } }
                return IdentityError.file(path: path, reason: reason)
            },
            { [self] () throws(IdentityError) in
                defer { isReading.withLock { $0 = false } }
                return try work(path)
            }
        )
    }
}
