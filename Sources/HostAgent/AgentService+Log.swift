// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import HostOS
import Logging

/// What is logged about the ends of moves, and about restorations.
extension AgentService {
    /// Logs the result of a move.
    func log(_ result: Result<AgentCore.Completion, OrderFailure>, of order: MigrationOrder) {
        switch result {
        case .success(let completion):
            logger.notice(
                "order \(order.id): moved \(order.vmName) to \(order.target)",
                metadata: ["evidence": "\(completion.evidence.verdict.rawValue)"]
            )
            if completion.evidence.verdict == .leak {
                logger.critical("LEAK: the channel to \(order.target) carried less than the hypervisor sent")
            }
        case .failure(let failure):
            let event =
                failure.kind == .inDoubt
                ? "the end of the move was not seen; the agent checks where \(order.vmName) is"
                : "cannot move \(order.vmName)"
            logger.error("order \(order.id): \(event)", metadata: ["reason": "\(failure.text)"])
        }
    }

    /// Logs what a search has found out about a move whose end was not seen.
    func logFinding(_ report: OrderReport) {
        switch report.step {
        case .done(let outcome, _):
            guard let note = outcome.note else { return }
            logger.notice("order \(report.order): \(note)")
        case .failed(let failure):
            guard case .inquiry = failure.reason else { return }
            let level: Logger.Level = failure.kind == .inDoubt ? .error : .notice
            logger.log(level: level, "order \(report.order): \(failure.text)")
        default: return
        }
    }

    /// Logs the result of a restoration, and the reason of a failure only once.
    func logRestoration(
        _ attempt: String,
        _ result: Result<Instant, OrderFailure>,
        of order: MigrationOrder
    ) async {
        switch result {
        case .success:
            _ = await waits.change(of: order.id, to: nil)
            logger.notice("order \(order.id): \(attempt): it runs")
        case .failure(let failure):
            guard case .began(let reason) = await waits.change(of: order.id, to: failure.text) else { return }
            logger.error("order \(order.id): cannot \(attempt)", metadata: ["reason": "\(reason)"])
        }
    }
}
