// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Fleet
public import Ledger

/// Reads new records of the ledger's three streams into a controller's core.
public struct LedgerFeed: Sendable {
    private let ledger: any FleetLedger
    private var orders = ReadPosition()
    private var reports = ReadPosition()
    private var load = ReadPosition()

    public init(ledger: any FleetLedger) { self.ledger = ledger }

    /// The result of one pull.
    public struct News: Sendable {
        public var effects: [ControllerCore.Effect] = []
        public var samples: [LoadSample] = []
        /// The ledger's records that were skipped.
        public var remarks = LedgerRemarks()
    }

    /// Reads all records since the last pull, orders first: most reports then find their order.
    public mutating func pull(
        into core: inout some Core<ControllerCore.Event, ControllerCore.Effect>
    ) async throws -> News {
        var news = News()
        let ofOrders = try await ledger.readNew(OrderRecord.self, from: &orders) {
            news.effects += core.handle(.order($0))
        }
        let ofReports = try await ledger.readNew(OrderReport.self, from: &reports) {
            news.effects += core.handle(.report($0, at: .now))
        }
        let ofLoad = try await ledger.readNew(LoadSample.self, from: &load) {
            news.samples.append($0)
            news.effects += core.handle(.sample($0, at: .now))
        }
        for remarks in [ofOrders, ofReports, ofLoad] { news.remarks.add(remarks) }
        return news
    }
}
