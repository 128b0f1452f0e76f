// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Fleet
public import Ledger

/// Reads what is new in the ledger's three streams into a controller's core.
public struct LedgerFeed: Sendable {
    private let ledger: any FleetLedger
    private var orders: Cursor?
    private var reports: Cursor?
    private var load: Cursor?

    public init(ledger: any FleetLedger) { self.ledger = ledger }

    /// What one pull brought beside the core's own effects.
    public struct News: Sendable {
        public var effects: [ControllerCore.Effect] = []
        public var samples: [LoadSample] = []
        public var reports: [OrderReport] = []
        /// Lines that were passed over and records that were gone, in words.
        public var warnings: [String] = []
    }

    /// Everything that has come since the last pull; orders first, so that each report finds its order.
    public mutating func pull(into core: inout ControllerCore) async throws -> News {
        var news = News()
        for record in try await drain(OrderRecord.self, \.orders, &news) {
            news.effects += core.handle(.order(record.body))
        }
        for record in try await drain(OrderReport.self, \.reports, &news) {
            // A step counts only for the host that took it.
            guard record.writer == .host(record.body.host) else {
                news.warnings.append("a report of \(record.body.host) was written by \(record.writer): not counted")
                continue
            }
            news.reports.append(record.body)
            news.effects += core.handle(.report(record.body))
        }
        for record in try await drain(LoadSample.self, \.load, &news) {
            guard record.writer == .host(record.body.host) else {
                news.warnings.append("a sample of \(record.body.host) was written by \(record.writer): not counted")
                continue
            }
            news.samples.append(record.body)
            news.effects += core.handle(.sample(record.body))
        }
        return news
    }

    private mutating func drain<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        _ cursor: WritableKeyPath<LedgerFeed, Cursor?>,
        _ news: inout News
    ) async throws -> [LedgerRecord<Entry>] {
        var records: [LedgerRecord<Entry>] = []
        while true {
            let batch = try await ledger.read(entries, from: self[keyPath: cursor])
            records += batch.records
            news.warnings += batch.skipped.map { "\(Entry.stream): \($0)" }
            if let gap = batch.gap { news.warnings.append("\(Entry.stream): \(gap)") }
            self[keyPath: cursor] = batch.next
            if !batch.hasMore { return records }
        }
    }
}
