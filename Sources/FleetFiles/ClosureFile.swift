// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Coordination

/// A local file of the channels that were closed after leaks.
///
/// The ledger drops old records, and whoever can write to its storage could remove the record of the leak.
///
/// Only an operator's record in the ledger ('evenkeel clear') removes a closure.
public struct ClosureFile: Sendable {
    private let file: StateFile<[ClosedChannels.Closure]>
    private var kept: [ClosedChannels.Closure] = []

    public var path: String { file.path }

    public init(path: String) { file = StateFile(path: path) }

    /// Returns the closures of previous runs of this program; none if there is no file.
    public mutating func read() throws(FleetFileError) -> [ClosedChannels.Closure] {
        do {
            kept = try file.read() ?? []
            return kept
        } catch {
            let reason =
                "cannot read the closed channels (\(error.reason)), so no protected move starts. Repair the file, or "
                + "remove it once every leak in it is cleared, and start this program again."
            throw FleetFileError(file: path, reason: reason)
        }
    }

    /// Replaces the file durably if its content differs.
    public mutating func keep(_ closures: [ClosedChannels.Closure]) throws(FleetFileError) {
        guard closures != kept else { return }
        do { try file.replace(closures) } catch {
            throw FleetFileError(file: path, reason: "cannot write the closed channels: \(error.reason)")
        }
        kept = closures
    }
}
