// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Logging

/// A closure file in the hands of a service.
///
/// One that cannot be read may name any channel: until a person has looked into it, nothing protected may move.
public actor LocalClosures {
    private var file: ClosureFile
    private let logger: Logger
    /// Why the file could not be read: it is left as it is, and no protected move may begin in this life of the service.
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

    /// Keeps what is closed now; what cannot be written is tried again at the next call.
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
