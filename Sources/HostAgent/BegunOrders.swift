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
        return try JSONDecoder().decode([String: Instant].self, from: Data(contentsOf: URL(filePath: path)))
    }

    private func write(_ orders: [String: Instant]) throws {
        let draft = "\(path).new"
        let folder = URL(filePath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let data = try JSONEncoder().encode(orders)
        guard FileManager.default.createFile(atPath: draft, contents: nil, attributes: [.posixPermissions: 0o600])
        else {
            throw CocoaError(.fileWriteUnknown)
        }
        let file = try FileHandle(forWritingTo: URL(filePath: draft))
        try file.write(contentsOf: data)
        try file.synchronize()
        try file.close()
        guard rename(draft, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
