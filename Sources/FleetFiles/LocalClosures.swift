// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Dispatch
public import Coordination
public import Logging

/// A service's local file of the channels that were closed after leaks.
///
/// The ledger drops old records, and whoever can write to its storage could remove the record of a leak: so the closures
/// are kept here too. Only an operator's record in the ledger ('evenkeel clear') removes one.
///
/// A file that cannot be read may contain any channel: until an operator has checked it, no protected move may start.
public actor LocalClosures {
    private let file: StateFile<[ClosedChannels.Closure]>
    private let logger: Logger
    private var kept: [ClosedChannels.Closure] = []
    /// The error if the file could not be read; the file then stays unchanged and this run starts no protected move.
    public private(set) var damage: FleetFileError?
    private var lastFailure: String?

    /// One call after the other: a write that hung must not replace a later one when it goes on.
    private let disk = DispatchQueue(label: "evenkeel.closures")
    private static let limit: Duration = .seconds(10)

    public init(path: String, logger: Logger) {
        file = StateFile(path: path)
        self.logger = logger
    }

    /// Returns the closures of previous runs of this program; none if there is no file or it cannot be read.
    public func read() async -> [ClosedChannels.Closure] {
        do {
            kept = try await onDisk { [file] in try file.read() ?? [] }
        } catch {
            let reason =
                "cannot read the closed channels (\(error)), so no protected move starts. Repair the file, or "
                + "remove it once every leak in it is cleared, and start this program again."
            let damage = FleetFileError(file: file.path, reason: reason)
            self.damage = damage
            logger.critical("closed channels are unknown: no protected move starts", metadata: ["reason": "\(damage)"])
        }
        return kept
    }

    /// Replaces the file durably if its content differs; after an error the next call tries again.
    public func keep(_ closures: [ClosedChannels.Closure]) async {
        guard damage == nil, closures != kept else { return }
        do {
            try await onDisk { [file] in try file.replace(closures) }
            kept = closures
            lastFailure = nil
        } catch {
            let failure = "\(error)"
            if lastFailure != failure {
                logger.error("closed channels: cannot write the file", metadata: ["reason": "\(failure)"])
            }
            lastFailure = failure
        }
    }

    private func onDisk<Value: Sendable>(_ work: @Sendable @escaping () throws -> Value) async throws -> Value {
        let late: @Sendable (Bool) -> any Error = { [file] _ in
            FleetFileError(file: file.path, reason: "the disk did not answer within \(Self.limit)")
        }
        return try await Blocking.run(within: Self.limit, on: disk, late: late, work)
    }
}
