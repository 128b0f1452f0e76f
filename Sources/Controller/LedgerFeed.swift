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
            news.effects += core.handle(.report(record.body))
        }
        for record in try await drain(LoadSample.self, \.load, &news) {
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
        let new = try await ledger.readAll(entries, from: self[keyPath: cursor])
        self[keyPath: cursor] = new.next
        news.warnings += new.warnings
        return new.records
    }
}
