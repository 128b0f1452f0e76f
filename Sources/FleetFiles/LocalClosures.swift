// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Logging

/// A closure file in the hands of a service, which goes on where the file fails and says so.
public actor LocalClosures {
    private var file: ClosureFile
    private let logger: Logger
    /// A file that could not be read is left as it is.
    private var isReadable = true
    private var lastFailure: String?

    public init(path: String, logger: Logger) {
        file = ClosureFile(path: path)
        self.logger = logger
    }

    public func read() -> [ClosedChannels.Closure] {
        do { return try file.read() } catch {
            isReadable = false
            logger.critical("channels that leaks have closed may be open", metadata: ["reason": "\(error)"])
            return []
        }
    }

    /// Keeps what is closed now; what cannot be written is tried again at the next call.
    public func keep(_ closures: [ClosedChannels.Closure]) {
        guard isReadable else { return }
        do {
            try file.keep(closures)
            lastFailure = nil
        } catch {
            if lastFailure != error.reason { logger.error("a closed channel", metadata: ["reason": "\(error)"]) }
            lastFailure = error.reason
        }
    }
}
