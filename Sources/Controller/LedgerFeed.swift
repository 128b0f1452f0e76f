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
    public mutating func pull(
        into core: inout some Core<ControllerCore.Event, ControllerCore.Effect>
    ) async throws -> News {
        var news = News()
        news.warnings += try await ledger.readOn(OrderRecord.self, from: &orders) {
            news.effects += core.handle(.order($0))
        }
        news.warnings += try await ledger.readOn(OrderReport.self, from: &reports) {
            news.effects += core.handle(.report($0, at: .byTheWallClock))
        }
        news.warnings += try await ledger.readOn(LoadSample.self, from: &load) {
            news.samples.append($0)
            news.effects += core.handle(.sample($0, at: .byTheWallClock))
        }
        return news
    }
}
