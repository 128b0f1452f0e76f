// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Ledger
import Logging
import Settings

/// Reading the ledger.
extension AgentService {
    /// Hands over what is new in the ledger.
    ///
    /// Reports that were written before an order must be known before it: an order for a VM whose last move has just
    /// ended would be refused otherwise. So the orders are read first and handed over last; those of history, which
    /// nobody acts on, come before their reports.
    private func readNews(
        from orders: inout LedgerPlace,
        and reports: inout LedgerPlace,
        historyFirst isHistory: Bool,
        _ post: AsyncStream<AgentCore.Event>.Continuation
    ) async throws -> LedgerRemarks {
        var news: [OrderRecord] = []
        var remarks = try await ledger.readOn(OrderRecord.self, from: &orders) { news.append($0) }
        func hand() {
            for record in news { post.yield(.order(record, at: .byTheWallClock)) }
        }
        if isHistory { hand() }
        // Also when the reports cannot be read: the place in the orders has moved on.
        defer { if !isHistory { hand() } }
        remarks.add(
            try await ledger.readOn(OrderReport.self, from: &reports) { post.yield(.report($0, at: .byTheWallClock)) }
        )
        return remarks
    }

    /// Feeds the core with the ledger's orders and reports, and with the time.
    func follow(_ post: AsyncStream<AgentCore.Event>.Continuation) async {
        var orders = LedgerPlace()
        var reports = LedgerPlace()
        var remarkLog = RemarkLog()
        var isCaughtUp = false
        var ledgerIsOut = false
        while !Task.isCancelled {
            do {
                let remarks = try await readNews(from: &orders, and: &reports, historyFirst: !isCaughtUp, post)
                for remark in remarkLog.due(remarks, at: .byTheWallClock) {
                    let kind = remark.kind
                    logger.log(
                        level: kind.isRefusal ? .error : .warning,
                        "ledger",
                        metadata: ["kind": "\(kind.rawValue)", "count": "\(remark.count)", "reason": "\(remark)"]
                    )
                }
                if !isCaughtUp { post.yield(.caughtUp(at: .byTheWallClock)) }
                isCaughtUp = true
                if ledgerIsOut { logger.notice("the ledger is back") }
                ledgerIsOut = false
            } catch {
                if !ledgerIsOut, !Task.isCancelled {
                    logger.error("cannot read the ledger", metadata: ["reason": "\(error)"])
                }
                ledgerIsOut = true
            }
            post.yield(.tick(at: .byTheWallClock))
            try? await Task.sleep(for: settings.ledger.pollInterval)
        }
        post.finish()
    }
}
