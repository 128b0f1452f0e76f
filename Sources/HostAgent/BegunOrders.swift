// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

/// The orders that this host has begun, in a local file: none is begun twice, whatever the ledger says by then.
///
/// The ledger shows that an order was begun, and its marks notice a log that was set back; but whoever can write to the
/// storage could blank the line that says so. Orders that can no longer begin are forgotten.
actor BegunOrders {
    private let path: String
    private var begun: [String: Instant]?

    init(path: String) { self.path = path }

    /// Claims the order for this one beginning and returns once that is on the disk; false if it was begun before.
    ///
    /// Throws what the file system says: then nothing may be begun.
    func claim(_ order: MigrationOrder, at now: Instant) throws -> Bool {
        var orders = try begun ?? read()
        guard orders[order.id.rawValue] == nil else {
            begun = orders
            return false
        }
        orders = orders.filter { $0.value > now }
        orders[order.id.rawValue] = order.latestBeginning + Self.slack
        try write(orders)
        begun = orders
        return true
    }

    /// A clock that was set back must not make an order new again.
    private static let slack: Duration = .seconds(86400)

    private func read() throws -> [String: Instant] {
        guard FileManager.default.fileExists(atPath: path) else { return [:] }
        do {
            return try JSONDecoder().decode([String: Instant].self, from: Data(contentsOf: URL(filePath: path)))
        } catch {
            throw BegunOrdersError(path: path, reason: "\(error)")
        }
    }

    private func write(_ orders: [String: Instant]) throws {
        let draft = "\(path).new"
        let folder = URL(filePath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let data = try JSONEncoder().encode(orders)
        guard FileManager.default.createFile(atPath: draft, contents: nil, attributes: [.posixPermissions: 0o600])
        else {
            throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: draft])
        }
        let file = try FileHandle(forWritingTo: URL(filePath: draft))
        try file.write(contentsOf: data)
        try file.synchronize()
        try file.close()
        guard rename(draft, path) == 0 else { throw Self.failure(path) }
        try Self.sync(folder: folder)
    }

    /// Makes the new name durable: without it a power cut could bring the old file back.
    private static func sync(folder: String) throws {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(folder) }
        defer { close(descriptor) }
        // Some file systems cannot sync a folder and say EINVAL; they write names at once.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure(folder) }
    }

    private static func failure(_ path: String) -> CocoaError {
        let reason = String(cString: strerror(errno))
        return CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path, NSLocalizedDescriptionKey: reason])
    }
}

/// The file of begun orders is there and says nothing that can be read.
struct BegunOrdersError: Error, CustomStringConvertible {
    var path: String
    var reason: String

    var description: String {
        "\(path) is damaged (\(reason)): which orders this host has begun is not known. With the agent stopped, cancel "
            + "the orders that must not be begun again ('evenkeel cancel'), remove the file, and start the agent"
    }
}
