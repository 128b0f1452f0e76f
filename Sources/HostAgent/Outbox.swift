// SPDX-License-Identifier: Apache-2.0
import Fleet
import Ledger
import Logging

/// Reports on their way to the ledger, in order; one that cannot be written waits for the next try.
struct Outbox {
    let ledger: any FleetLedger
    let logger: Logger
    private var waiting: [OrderReport] = []

    init(ledger: any FleetLedger, logger: Logger) {
        self.ledger = ledger
        self.logger = logger
    }

    var isEmpty: Bool { waiting.isEmpty }

    mutating func write(_ report: OrderReport) async {
        waiting.append(report)
        await flush()
    }

    /// Tries to write all that waits.
    mutating func flush() async {
        while let report = waiting.first {
            do {
                try await ledger.append(report)
                waiting.removeFirst()
            } catch {
                logger.error("a report waits", metadata: ["order": "\(report.order)", "reason": "\(error)"])
                return
            }
        }
    }
}
