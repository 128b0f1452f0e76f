// SPDX-License-Identifier: Apache-2.0
import Fleet
@testable import Ledger
import TestSupport
import Testing

/// The ledgers that must pass the conformance suite; new ones are added only here.
enum Implementation: CaseIterable, CustomTestStringConvertible {
    case sharedLog, signedSharedLog
    case inMemory, signedInMemory

    var testDescription: String { String(describing: self) }

    static let maximumRecordBytes = 1 << 20

    /// Runs `body` with a new, empty ledger and removes it afterwards.
    func withLedger(_ body: (OpenLedger) async throws -> Void) async throws {
        let cluster = TestCluster()
        let isSigned = self == .signedSharedLog || self == .signedInMemory
        let security: (LedgerWriter) -> LedgerSecurity = { isSigned ? cluster.security(of: $0) : .unsigned }
        switch self {
        case .sharedLog, .signedSharedLog:
            try await withTemporaryFolder { folder in
                try await SharedLog.create(folder: folder)
                try await body {
                    SharedLog(folder: folder, writer: $0, security: security($0), now: { writtenAt })
                }
            }
        case .inMemory, .signedInMemory:
            let ledger = InMemoryLedger(
                writer: .controller,
                maximumRecordBytes: Self.maximumRecordBytes,
                now: { writtenAt }
            )
            try await body { ledger.writing(as: $0, security: security($0)) }
        }
    }
}

/// Opens the ledger under test again, for one writer.
typealias OpenLedger = (LedgerWriter) -> any FleetLedger

/// The clock of the ledgers under test stands still.
let writtenAt = Instant(milliseconds: 1_700_000_000_000)

extension FleetLedger {
    /// Returns all samples of all hosts, as a new reader gets them.
    func allSamples(
        _ history: LedgerHistory = .everything
    ) async throws -> (samples: [LoadSample], remarks: LedgerRemarks) {
        var follower = SampleFollower()
        var samples: [LoadSample] = []
        let remarks = try await follower.readNew(in: self, history) { samples.append($0) }
        return (samples, remarks)
    }

    /// Returns all records after `cursor`, read `limit` at a time.
    func all<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor? = nil,
        limit: Int = 1000
    ) async throws -> LedgerBatch<Entry> {
        var whole = try await read(entries, from: cursor, limit: limit)
        while whole.hasMore {
            let batch = try await read(entries, from: whole.next, limit: limit)
            whole.records += batch.records
            whole.skipped += batch.skipped
            whole.gap = whole.gap ?? batch.gap
            whole.next = batch.next
            whole.hasMore = batch.hasMore
        }
        return whole
    }
}
