// SPDX-License-Identifier: Apache-2.0
import Fleet
import Ledger
import Logging

/// Reports on their way to the ledger, in order; one that cannot be written waits for the next try.
struct Outbox {
    let ledger: any FleetLedger
    let logger: Logger
    private var waiting: [OrderReport] = []
    /// A ledger that is out can hold each try for half a minute, and orders to cancel wait behind it.
    private var nextTry: ContinuousClock.Instant?
    private static let pause: Duration = .seconds(2)

    init(ledger: any FleetLedger, logger: Logger) {
        self.ledger = ledger
        self.logger = logger
    }

    var isEmpty: Bool { waiting.isEmpty }

    mutating func write(_ report: OrderReport) async {
        // In an outage only the newest progress of a move is worth the wait.
        if case .running = report.step {
            waiting.removeAll { $0.order == report.order && $0.step.isProgress }
        }
        waiting.append(report)
        await flush()
    }

    /// Tries to write all that waits.
    mutating func flush() async {
        if let nextTry, ContinuousClock.now < nextTry { return }
        nextTry = nil
        while let report = waiting.first {
            do {
                try await ledger.append(report)
                waiting.removeFirst()
            } catch let error as LedgerError where error.isPermanent {
                logger.critical(
                    "a report cannot be written",
                    metadata: ["order": "\(report.order)", "reason": "\(error)"]
                )
                waiting.removeFirst()
                if let short = Self.shortened(report, because: error) { waiting.insert(short, at: 0) }
            } catch {
                logger.error("a report waits", metadata: ["order": "\(report.order)", "reason": "\(error)"])
                nextTry = ContinuousClock.now + Self.pause
                return
            }
        }
    }

    /// What can be written in place of a report that never can: everything asked for ends in a report.
    private static func shortened(_ report: OrderReport, because error: LedgerError) -> OrderReport? {
        guard report.step != tooShort, !report.step.isProgress else { return nil }
        var short = report
        short.step = tooShort
        return short
    }

    private static let tooShort = OrderStep.failed(
        failure: OrderFailure(
            kind: .inDoubt,
            reason: "the agent's report did not fit into the ledger; the agent's own log has it",
            runsOn: nil
        )
    )
}

extension OrderStep {
    fileprivate var isProgress: Bool { if case .running = self { true } else { false } }
}
