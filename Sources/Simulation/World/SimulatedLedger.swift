// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The ledger's records with writer and time; `World` delivers them with the delays and failures of a log on shared
/// storage.
struct SimulatedLedger {
    enum Entry {
        case order(OrderRecord)
        case report(OrderReport)
        case sample(LoadSample)
    }

    struct Record {
        var at: Int64
        /// By the writer's clock.
        var signedAt: Instant
        var writer: World.Node
        var entry: Entry
        /// Whether the writer itself signed the record.
        var isGenuine = true
        /// Whether a newer version wrote its step in a way that no reader here understands.
        var isOfNewerVersion = false
    }

    /// Orders and reports, in the order in which they were written.
    private(set) var records: [Record] = []
    /// The newest samples of each host.
    private(set) var samples: [[Record]]
    private let samplesKept: Int
    private(set) var refused = 0

    init(hosts: Int, samplesKept: Int) {
        samples = Array(repeating: [], count: hosts)
        self.samplesKept = samplesKept
    }

    mutating func append(_ record: Record) {
        guard case .sample = record.entry, case .agent(let host) = record.writer else {
            records.append(record)
            return
        }
        guard samplesKept > 0 else { return }
        samples[host].append(record)
        if samples[host].count > 2 * samplesKept { samples[host].removeFirst(samplesKept) }
    }

    /// Drops records older than `oldest`.
    mutating func rotate(keepingSince oldest: Int64) {
        guard let first = records.first, first.at < oldest else { return }
        records.removeAll { $0.at < oldest }
    }

    /// Returns whether a reader accepts a record: orders only from a controller, reports and samples from their host.
    ///
    /// In production the ledger does this by checking signatures.
    mutating func admits(_ record: Record, hosts: [HostName]) -> Bool {
        let isRight =
            switch (record.entry, record.writer) {
            case (.order(.clear), .operator): true
            case (.order(.clear), _): false
            case (.order(.end), .operator): true
            case (.order(.migrate(let order)), .operator): order.issuer == .operator
            case (.order, .controller): true
            case (.report(let report), .agent(let host)): report.host == hosts[host]
            case (.sample(let sample), .agent(let host)): sample.host == hosts[host]
            default: false
            }
        guard record.isGenuine, isRight else {
            refused += 1
            return false
        }
        return true
    }
}
