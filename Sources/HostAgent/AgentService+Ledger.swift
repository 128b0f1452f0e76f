// SPDX-License-Identifier: Apache-2.0
import HostOS
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
        _ follower: inout LedgerFollower,
        isHistory: Bool,
        _ events: AgentEvents
    ) async throws {
        var news: [OrderRecord] = []
        let result: Result<Void, any Error>
        do {
            try await follower.readOrders { record in
                if isHistory { await events.send(.order(record)) } else { news.append(record) }
            }
            try await follower.readReports { await events.send(.report($0)) }
            result = .success(())
        } catch { result = .failure(error) }
        // Also if something could not be read: the read position in the orders has advanced.
        for record in news { await events.send(.order(record)) }
        try result.get()
    }

    /// Passes the ledger's orders and reports, and the time, to the core.
    func follow(_ events: AgentEvents) async {
        // A day more, because clocks and the times of reports differ.
        let needed = AgentCore.needed + .seconds(86400)
        var follower = LedgerFollower(ledger, .ofAgent(on: host, ended: needed, at: .now))
        var isCaughtUp = false
        var clockWait = ClockWait(limit: clockWait)
        while !Task.isCancelled {
            let isRead = await follower.poll(logger, at: .now) { follower in
                try await readNews(&follower, isHistory: !isCaughtUp, events)
            }
            if isRead, !isCaughtUp, !clockWait.isNeeded(follower.waitsForClock, logger) {
                await events.send(.caughtUp)
                isCaughtUp = true
            }
            await events.send(.tick)
            try? await Task.sleep(for: settings.ledger.pollInterval)
        }
        events.finish()
    }
}

/// The wait at an agent's start for genuine records that are from the future by this host's clock.
///
/// An agent that does not know the newest orders and reports would begin orders, and end moves, for a VM whose state it
/// does not know. The wait has a limit: a member with a false clock must not stop the others.
private struct ClockWait {
    let limit: Duration
    private let clock = ContinuousClock()
    private var start: ContinuousClock.Instant?
    private var isOver = false

    init(limit: Duration) { self.limit = limit }

    /// Returns whether the agent must wait; logs the beginning and the end of the wait.
    mutating func isNeeded(_ recordsWait: Bool, _ logger: Logger) -> Bool {
        guard recordsWait else {
            if start != nil { logger.notice("no record of the ledger is from the future any more") }
            return false
        }
        guard let start else {
            start = clock.now
            let reason =
                "this host's clock is behind: records of the ledger are from its future. Set the clock. If it is right, "
                + "the clock of their writer was ahead. The agent does nothing until it has read them, or for \(limit.text)."
            logger.critical("\(reason)")
            return true
        }
        guard clock.now - start >= limit else { return true }
        if !isOver { logger.critical("the agent begins without the records of the ledger that are from its future") }
        isOver = true
        return false
    }
}
