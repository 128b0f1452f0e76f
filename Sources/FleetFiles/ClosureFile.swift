// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Coordination
internal import Foundation

/// A local file of the channels that were closed after leaks.
///
/// The ledger drops old records, and whoever can write to its storage could remove the record of the leak.
///
/// Only an operator's record in the ledger ('evenkeel clear') removes a closure.
public struct ClosureFile: Sendable {
    public let path: String
    private var kept: [ClosedChannels.Closure] = []

    public init(path: String) { self.path = path }

    /// Returns the closures of previous runs of this program; none if there is no file.
    public mutating func read() throws(FleetFileError) -> [ClosedChannels.Closure] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        do {
            let data = try Data(contentsOf: URL(filePath: path))
            kept = try JSONDecoder().decode([ClosedChannels.Closure].self, from: data)
            return kept
        } catch {
            let reason =
                "cannot read the closed channels (\(error)), so no protected move starts. Repair the file, or remove it "
                + "once every leak in it is cleared, and start this program again."
            throw FleetFileError(file: path, reason: reason)
        }
    }

    /// Replaces the file durably if its content differs.
    public mutating func keep(_ closures: [ClosedChannels.Closure]) throws(FleetFileError) {
        guard closures != kept else { return }
        do { try write(JSONEncoder().encode(closures)) } catch {
            throw FleetFileError(file: path, reason: "cannot write the closed channels: \(error)")
        }
        kept = closures
    }

    private func write(_ data: Data) throws {
        let folder = URL(filePath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try DurableFile.replace(path, with: data, mode: 0o600)
    }
}
