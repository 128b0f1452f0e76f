// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Logging

/// A service's local file of the channels that were closed after leaks.
///
/// The ledger drops old records, and whoever can write to its storage could remove the record of a leak: so the closures
/// are kept here too. Only an operator's record in the ledger ('evenkeel clear') removes one.
///
/// A file that cannot be read may contain any channel: until an operator has checked it, no protected move may start.
public actor LocalClosures {
    private let file: LocalFile<[ClosedChannels.Closure]>
    private let logger: Logger
    private var kept: [ClosedChannels.Closure] = []
    /// The error if the file could not be read, or its disk hung; this run then starts no protected move, and leaves the file
    /// alone.
    public private(set) var damage: FleetFileError?

    public init(path: String, logger: Logger) {
        self.init(LocalFile(path: path, of: "closed channels", logger: logger), logger: logger)
    }

    init(_ file: LocalFile<[ClosedChannels.Closure]>, logger: Logger) { (self.file, self.logger) = (file, logger) }

    /// Returns the closures of previous runs of this program; none if there is no file or it cannot be read.
    public func read() async -> [ClosedChannels.Closure] {
        do { kept = try await file.read() ?? [] } catch {
            stopMoves(
                because: "cannot read the closed channels (\(error)), so no protected move starts. Repair the file, or "
                    + "remove it once every leak in it is cleared, and start this program again."
            )
        }
        return kept
    }

    /// Replaces the file durably if its content differs; after an error the next call tries again.
    ///
    /// Unless the disk hangs: the caller waits for each call, and would answer no other host meanwhile.
    public func keep(_ closures: [ClosedChannels.Closure]) async {
        guard damage == nil, closures != kept else { return }
        if await file.replace(closures) {
            kept = closures
        } else if await file.isHung {
            stopMoves(
                because:
                    "its disk hung when a closed channel was to be written, so no protected move starts. Check the disk, "
                    + "and start this program again."
            )
        }
    }

    private func stopMoves(because reason: String) {
        let damage = FleetFileError(file: file.path, reason: reason)
        self.damage = damage
        logger.critical("closed channels are unknown: no protected move starts", metadata: ["reason": "\(damage)"])
    }
}
