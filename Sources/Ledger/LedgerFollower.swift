// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import HostOS
public import Logging

/// Reads what its user needs of the ledger's past, and then follows it: each valid record once.
///
/// Orders and reports come in the order of their stream, samples by their time.
///
/// The one place that decides how much of the ledger is read, for commands, controller and agents. The exceptions
/// are `evenkeel ledger check`, which has its own loop because it counts every line by its writer, and the lab's tools.
public struct LedgerFollower: Sendable {
    private let ledger: any FleetLedger
    private let history: LedgerHistory
    private var digest: HistoryDigest?
    /// Orders that were read for the digest.
    private var past: [OrderRecord]?
    private var orders = ReadPosition()
    private var reports = ReadPosition()
    private var samples = SampleFollower()
    /// The skipped lines and gaps so far; for a service only those not logged yet.
    public private(set) var remarks = LedgerRemarks()
    private var remarkLog = RemarkLog()
    private let reading = LastingFailure()
    private let localTrouble = LastingFailure()

    public init(_ ledger: any FleetLedger, _ history: LedgerHistory = .everything) {
        self.ledger = ledger
        self.history = history
    }

    /// Passes the orders that are new since the last call to `take`.
    ///
    /// Throws a `LedgerError`; the next call continues after the last record that was passed.
    public mutating func readOrders(_ take: (OrderRecord) async -> Void) async throws {
        try await digestPast()
        var epoch: UInt64 = 0
        for record in past ?? [] {
            if !isLeftOut(record) {
                epoch = max(epoch, record.epoch ?? 0)
                await take(record)
            } else if case .migrate(let order) = record, let its = order.controllersEpoch, its > epoch {
                // Retention may have removed the record with which its controller took over.
                epoch = its
                await take(.takeOver(epoch: its, controller: "", at: order.issuedAt))
            }
        }
        past = []
        remarks.add(try await ledger.readNew(OrderRecord.self, from: &orders, take: take))
    }

    /// Reads the orders so far and how they ended, once, if not all of the past is needed.
    private mutating func digestPast() async throws {
        guard past == nil else { return }
        guard history.ended != nil else {
            past = []
            return
        }
        var position = ReadPosition()
        var read: [OrderRecord] = []
        let skipped = try await ledger.readNew(OrderRecord.self, from: &position) { read.append($0) }
        digest = try await HistoryDigest.read(read, in: ledger, history)
        (orders, past) = (position, read)
        remarks.add(skipped)
    }

    private func isLeftOut(_ record: OrderRecord) -> Bool {
        guard let digest else { return false }
        return switch record {
        case .migrate(let order): digest.drops(order.id)
        case .cancel(let id, _, _), .end(let id, _, _, _): digest.drops(id)
        case .clear, .takeOver: false
        }
    }

    /// Like `readOrders`, for the agents' reports.
    public mutating func readReports(_ take: (OrderReport) async -> Void) async throws {
        try await digestPast()
        let selection = digest?.selection
        remarks.add(try await ledger.readNew(OrderReport.self, from: &reports, selecting: selection, take: take))
        // The past has been read.
        if past?.isEmpty == true { digest = nil }
    }

    /// Whether genuine orders or reports wait for this host's clock to reach their time.
    public var waitsForClock: Bool { orders.isWaiting || reports.isWaiting }

    /// Like `readOrders`, for the agents' load samples.
    public mutating func readSamples(_ take: (LoadSample) async -> Void) async throws {
        remarks.add(try await samples.readNew(in: ledger, history, take: take))
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
            if !Task.isCancelled, case .began(let reason) = reading.take("\(error)") {
                logger.error("cannot read the ledger", metadata: ["reason": "\(reason)"])
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
        if reading.take(nil) == .ended { logger.notice("the ledger can be read again") }
        switch localTrouble.take(ledger.localTrouble) {
        case .began(let trouble): logger.error("\(trouble)")
        case .ended: logger.notice("the local trouble with the ledger has ended")
        case nil: break
        }
        return true
    }
}

extension MigrationOrder {
    /// The epoch of the controller that gave the order.
    fileprivate var controllersEpoch: UInt64? { issuer == .controller ? epoch : nil }
}
