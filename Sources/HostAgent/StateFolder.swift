// SPDX-License-Identifier: Apache-2.0
import HostOS
import Logging

/// Checks again and again whether this host can record its steps of orders, in its journal and next to it.
///
/// A host that cannot must not be given orders: it would begin none of them.
final class StateFolder: Sendable {
    private let journal: OrderJournal
    private let logger: Logger
    private let failure = LastingFailure()
    private let check = BackgroundCall()

    static let interval: Duration = .seconds(5)

    init(_ journal: OrderJournal, logger: Logger) {
        self.journal = journal
        self.logger = logger
    }

    /// Why this host cannot take orders now; `nil` if it can.
    var reason: String? { failure.reason }

    /// Checks until cancelled.
    func keep() async {
        while !Task.isCancelled {
            await look()
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Checks once; logs a failure once, and its end.
    func look() async {
        let answer = await Blocking.run { [check, journal] in
            check.run(within: .hangLimit) { () -> String? in
                do { try journal.checkWritable() } catch { return "\(error)" }
                return nil
            }
        }
        let now = answer ?? "the disk with \(journal.path) does not answer"
        logger.log(
            failure.take(now),
            "this host takes no orders until its disk can be written",
            ended: "this host can take orders again"
        )
    }
}
