// SPDX-License-Identifier: Apache-2.0
internal import Balancing
internal import Dispatch
internal import FleetFiles
internal import HostOS
internal import Logging

/// The controller's local file of the VMs' load statistics.
///
/// A restarted controller reads the samples of half an hour. Without the file nothing becomes unsafe: the statistics
/// form again.
actor LocalStatistics {
    private let file: StateFile<LoadStatistics>
    private let logger: Logger
    private var savedAt: ContinuousClock.Instant?
    private var lastFailure: String?

    private let disk = DispatchQueue(label: "evenkeel.statistics")
    private static let limit: Duration = .seconds(10)
    /// At most this much is lost if the controller is killed.
    private static let interval: Duration = .seconds(300)
    /// Bounds the file, to about 15 MiB.
    private static let mostVMs = 50_000

    init(path: String, logger: Logger) {
        file = StateFile(path: path)
        self.logger = logger
    }

    /// Returns the statistics of the previous run; `nil` if there are none.
    func read() async -> LoadStatistics? {
        savedAt = .now
        do { return try await onDisk { [file] in try file.read() } } catch {
            logger.warning("load statistics begin anew: cannot read their file", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    /// Replaces the file if it is older than five minutes, or if the run ends.
    func keep(_ statistics: LoadStatistics, isLast: Bool = false) async {
        if !isLast, let savedAt, .now - savedAt < Self.interval { return }
        savedAt = .now
        do {
            try await onDisk { [file] in try file.replace(statistics.newest(Self.mostVMs)) }
            lastFailure = nil
        } catch {
            let failure = "\(error)"
            if lastFailure != failure {
                logger.warning("load statistics: cannot write the file", metadata: ["reason": "\(failure)"])
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
