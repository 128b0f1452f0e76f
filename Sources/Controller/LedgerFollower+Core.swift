// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Fleet
internal import HostOS
public import Ledger

extension LedgerFollower {
    /// What a controller's core made of new records.
    public struct News: Sendable {
        public var effects: [ControllerCore.Effect] = []
        public var samples: [LoadSample] = []
    }

    /// Passes all new records to a controller's core, orders first: most reports then find their order.
    @discardableResult
    public mutating func pull(
        into core: inout some Core<ControllerCore.Event, ControllerCore.Effect>
    ) async throws -> News {
        var news = News()
        try await readOrders { news.effects += core.handle(.order($0)) }
        try await readReports { news.effects += core.handle(.report($0, at: .now)) }
        try await readSamples {
            news.samples.append($0)
            news.effects += core.handle(.sample($0, at: .now))
        }
        return news
    }
}
