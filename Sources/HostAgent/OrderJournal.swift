// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Synchronization

/// What this host has done of each order that cannot be done twice or taken back, in a local file.
///
/// The ledger tells most of it, and its marks notice a log that was set back; but whoever can write to the storage could
/// blank a line, and a host can die between what it does and what it says. Orders whose time is long over are forgotten.
final class OrderJournal: Sendable {
    enum Deed: String, Codable, CodingKeyRepresentable, CaseIterable {
        /// As the source: the move, or the save, was begun.
        case begun
        /// As the source of a sealed move: the image was let go.
        case released
        /// The VM of a sealed move was let run from its image here, or was about to be.
        case started

        /// For how long after its order's time it is remembered; a clock that was set back must not make an order new
        /// again, and a VM may wait for its host for long.
        fileprivate var kept: Duration {
            switch self {
            case .begun: .seconds(86400)
            case .released, .started: .seconds(90 * 86400)
            }
        }
    }

    typealias Entries = [Deed: [String: Instant]]

    private let path: String
    /// Held for as long as a write takes.
    let entries = Mutex<Entries?>(nil)

    init(path: String) { self.path = path }

    /// Notes that this host does this now, once, and returns once that is on the disk; false if it was noted before.
    ///
    /// Blocks for a write and two syncs. Throws what the file system says: then nothing may be done.
    func claim(_ deed: Deed, of order: MigrationOrder, at now: Instant) throws -> Bool {
        try change { entries in
            guard entries[deed]?[order.id.rawValue] == nil else { return false }
            entries = entries.mapValues { $0.filter { $0.value > now } }
            entries[deed, default: [:]][order.id.rawValue] = order.latestBeginning + deed.kept
            return true
        }
    }

    /// Strikes out what was claimed and is certain not to have happened.
    func strike(_ deed: Deed, of order: MigrationOrder) throws {
        _ = try change { $0[deed]?.removeValue(forKey: order.id.rawValue) != nil }
    }

    enum Entry {
        case noted, none
        /// Something is being written or read: ask again.
        case busy
    }

    /// Whether it was noted.
    func entry(_ deed: Deed, of order: MigrationOrder) throws -> Entry {
        let entry: Entry? = try entries.withLockIfAvailable { known in
            let entries = try known ?? read()
            known = entries
            return entries[deed]?[order.id.rawValue] != nil ? .noted : .none
        }
        return entry ?? .busy
    }

    /// Writes what the body makes of the entries, if it says that it has changed them.
    private func change(_ body: (inout Entries) -> Bool) throws -> Bool {
        try entries.withLock { known in
            var entries = try known ?? read()
            let before = entries
            guard body(&entries) else {
                known = before
                return false
            }
            // Should writing fail halfway, the file says what counts.
            known = nil
            try write(entries)
            known = entries
            return true
        }
    }

    private func read() throws -> Entries {
        guard FileManager.default.fileExists(atPath: path) else { return [:] }
        do {
            return try JSONDecoder().decode(Entries.self, from: Data(contentsOf: URL(filePath: path)))
        } catch {
            throw OrderJournalError(path: path, reason: "\(error)")
        }
    }

    private func write(_ entries: Entries) throws {
        let folder = URL(filePath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try DurableFile.replace(path, with: JSONEncoder().encode(entries), mode: 0o600)
    }
}

/// The journal is there and says nothing that can be read.
struct OrderJournalError: Error, CustomStringConvertible {
    var path: String
    var reason: String

    var description: String {
        "\(path) is damaged (\(reason)): what this host has done of its orders is not known. With the agent stopped, "
            + "cancel the orders that must not be begun again ('evenkeel cancel'), see that the VMs of sealed moves run on "
            + "one host, remove the file, and start the agent"
    }
}
