// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Ledger
import Logging
import Settings

/// Reading of the ledger.
extension AgentService {
    /// Passes new records of the ledger to the core.
    ///
    /// The core must know reports that were written before an order first: otherwise it would refuse an order for a VM
    /// whose last move has just ended. So orders are read first and passed on last. Past orders, on which the agent
    /// does not act, come before their reports.
    private func readNews(
        from orders: inout ReadPosition,
        and reports: inout ReadPosition,
        historyFirst isHistory: Bool,
        _ events: AgentEvents
    ) async throws -> LedgerRemarks {
        var news: [OrderRecord] = []
        var remarks = try await ledger.readNew(OrderRecord.self, from: &orders) { record in
            if isHistory { await events.send(.order(record)) } else { news.append(record) }
        }
        let result: Result<LedgerRemarks, any Error>
        do {
            result = .success(
                try await ledger.readNew(OrderReport.self, from: &reports) { await events.send(.report($0)) }
            )
        } catch { result = .failure(error) }
        // Also if the reports cannot be read: the read position in the orders has advanced.
        for record in news { await events.send(.order(record)) }
        remarks.add(try result.get())
        return remarks
    }

    /// Passes the ledger's orders and reports, and the time, to the core.
    func follow(_ events: AgentEvents) async {
        var orders = ReadPosition()
        var reports = ReadPosition()
        var remarkLog = RemarkLog()
        var isCaughtUp = false
        var ledgerIsOut = false
        while !Task.isCancelled {
            do {
                let remarks = try await readNews(from: &orders, and: &reports, historyFirst: !isCaughtUp, events)
                for remark in remarkLog.due(remarks, at: .now) {
                    let kind = remark.kind
                    logger.log(
                        level: kind.isRefusal ? .error : .warning,
                        "ledger",
                        metadata: ["kind": "\(kind.rawValue)", "count": "\(remark.count)", "reason": "\(remark)"]
                    )
                }
                if !isCaughtUp { await events.send(.caughtUp) }
                isCaughtUp = true
                if ledgerIsOut { logger.notice("the ledger is back") }
                ledgerIsOut = false
            } catch {
                if !ledgerIsOut, !Task.isCancelled {
                    logger.error("cannot read the ledger", metadata: ["reason": "\(error)"])
                }
                ledgerIsOut = true
            }
            await events.send(.tick)
            try? await Task.sleep(for: settings.ledger.pollInterval)
        }
        events.finish()
    }
}
