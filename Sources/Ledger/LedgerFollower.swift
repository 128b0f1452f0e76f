// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Logging

/// Reads the ledger from the beginning and then follows it: each valid record once, in the order of its stream.
///
/// The one place that decides how much of the ledger is read, for commands, controller and agents. The exceptions
/// are `evenkeel ledger check`, which has its own loop because it counts every line by its writer, and the lab's tools.
public struct LedgerFollower: Sendable {
    private let ledger: any FleetLedger
    private var orders = ReadPosition()
    private var reports = ReadPosition()
    private var samples = ReadPosition()
    /// The skipped lines and gaps so far; for a service only those not logged yet.
    public private(set) var remarks = LedgerRemarks()
    private var remarkLog = RemarkLog()
    private var ledgerIsOut = false
    private var localTrouble: String?

    public init(_ ledger: any FleetLedger) { self.ledger = ledger }

    /// Passes the orders that are new since the last call to `take`.
    ///
    /// Throws a `LedgerError`; the next call continues after the last record that was passed.
    public mutating func readOrders(_ take: (OrderRecord) async -> Void) async throws {
        remarks.add(try await ledger.readNew(OrderRecord.self, from: &orders, take: take))
    }

    /// Like `readOrders`, for the agents' reports.
    public mutating func readReports(_ take: (OrderReport) async -> Void) async throws {
        remarks.add(try await ledger.readNew(OrderReport.self, from: &reports, take: take))
    }

    /// Like `readOrders`, for the agents' load samples.
    public mutating func readSamples(_ take: (LoadSample) async -> Void) async throws {
        remarks.add(try await ledger.readNew(LoadSample.self, from: &samples, take: take))
    }

    /// Reads once for a service, and logs problems.
    ///
    /// Logs skipped records at most once a minute for each stream, kind and writer; an outage once, and its end. `read`
    /// calls the methods above. Returns whether the ledger could be read.
    public mutating func poll(
        _ logger: Logger,
        at instant: Instant,
        _ read: (inout LedgerFollower) async throws -> Void
    ) async -> Bool {
        do {
            try await read(&self)
        } catch {
            if !ledgerIsOut, !Task.isCancelled {
                logger.error("cannot read the ledger", metadata: ["reason": "\(error)"])
                ledgerIsOut = true
            }
            return false
        }
        for remark in remarkLog.due(remarks, at: instant) {
            logger.log(
                level: remark.kind.isRefusal ? .error : .warning,
                "ledger: records skipped",
                metadata: ["kind": "\(remark.kind.rawValue)", "count": "\(remark.count)", "reason": "\(remark)"]
            )
        }
        remarks = LedgerRemarks()
        if ledgerIsOut { logger.notice("the ledger can be read again") }
        ledgerIsOut = false
        report(ledger.localTrouble, logger)
        return true
    }

    /// Logs this host's own trouble once, and its end.
    private mutating func report(_ trouble: String?, _ logger: Logger) {
        if let trouble, trouble != localTrouble {
            logger.error("\(trouble)")
        } else if trouble == nil, localTrouble != nil {
            logger.notice("this host can save how far the ledger was read again")
        }
        localTrouble = trouble
    }
}
