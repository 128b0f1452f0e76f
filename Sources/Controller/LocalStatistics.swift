// SPDX-License-Identifier: Apache-2.0
internal import Balancing
internal import FleetFiles
internal import Logging

/// The controller's local file of the VMs' load statistics.
///
/// A restarted controller reads the samples of half an hour. Without the file nothing becomes unsafe: the statistics
/// form again.
actor LocalStatistics {
    private let file: LocalFile<LoadStatistics>
    private let logger: Logger
    private var savedAt: ContinuousClock.Instant?

    /// At most this much is lost if the controller is killed.
    private static let interval: Duration = .seconds(300)
    /// Bounds the file, to about 15 MiB.
    private static let mostVMs = 50_000

    init(path: String, logger: Logger) {
        file = LocalFile(path: path, of: "load statistics", logger: logger)
        self.logger = logger
    }

    /// Returns the statistics of the previous run; `nil` if there are none.
    func read() async -> LoadStatistics? {
        savedAt = .now
        do { return try await file.read() } catch {
            logger.warning("load statistics begin anew: cannot read their file", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    /// Replaces the file if it is older than five minutes, or if the run ends.
    func keep(_ statistics: LoadStatistics, isLast: Bool = false) async {
        if !isLast, let savedAt, .now - savedAt < Self.interval { return }
        savedAt = .now
        await file.replace(statistics.newest(Self.mostVMs))
    }
}
