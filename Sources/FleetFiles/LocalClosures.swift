// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Logging

/// A service's access to its closure file.
///
/// A file that cannot be read may contain any channel: until an operator has checked it, no protected move may start.
public actor LocalClosures {
    private var file: ClosureFile
    private let logger: Logger
    /// The error if the file could not be read; the file then stays unchanged and this run starts no protected move.
    public private(set) var damage: FleetFileError?
    private var lastFailure: String?

    public init(path: String, logger: Logger) {
        file = ClosureFile(path: path)
        self.logger = logger
    }

    public func read() -> [ClosedChannels.Closure] {
        do { return try file.read() } catch {
            damage = error
            logger.critical("closed channels are unknown: no protected move starts", metadata: ["reason": "\(error)"])
            return []
        }
    }

    /// Writes the closed channels; after an error the next call tries again.
    public func keep(_ closures: [ClosedChannels.Closure]) {
        guard damage == nil else { return }
        do {
            try file.keep(closures)
            lastFailure = nil
        } catch {
            if lastFailure != error.reason {
                logger.error("closed channels: cannot write the file", metadata: ["reason": "\(error)"])
            }
            lastFailure = error.reason
        }
    }
}
