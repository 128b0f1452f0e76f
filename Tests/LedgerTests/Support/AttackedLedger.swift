// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

@testable import Ledger

let h1 = LedgerWriter.host(HostName("h1"))
let h2 = LedgerWriter.host(HostName("h2"))

/// A signed ledger with one genuine report of h1; an attacker can write to its folder.
struct AttackedLedger {
    let folder: String
    let cluster: TestCluster

    /// Runs the body with a new attacked ledger.
    static func with(cluster: TestCluster = TestCluster(), _ body: (AttackedLedger) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let attacked = AttackedLedger(folder: folder, cluster: cluster)
            for writer in [h1, h2, .controller, .operator] { _ = cluster.key(of: writer) }
            try await attacked.open(h1).append(report(1))
            try await body(attacked)
        }
    }

    /// Opens the ledger as an honest member.
    func open(_ writer: LedgerWriter, clock: Instant = writtenAt) -> SharedLog {
        SharedLog(folder: folder, writer: writer, security: cluster.security(of: writer), now: { clock })
    }

    /// Opens the ledger as an attacker.
    func forge(_ writer: LedgerWriter, _ security: LedgerSecurity, clock: Instant = writtenAt) -> SharedLog {
        SharedLog(folder: folder, writer: writer, security: security, now: { clock })
    }

    func file(_ number: Int = 1, of stream: LedgerStream = .reports) -> String {
        SegmentFiles(folder: folder, stream: stream).path(number)
    }

    /// Returns the lines of a segment, without their newlines.
    func lines(_ number: Int = 1, of stream: LedgerStream = .reports) throws -> [[UInt8]] {
        try contents(of: file(number, of: stream)).split(separator: LineCodec.newline).map { Array($0) }
    }

    /// Writes lines into a segment without locking it.
    func put(_ lines: [[UInt8]], into number: Int = 1, of stream: LedgerStream = .reports) throws {
        try LedgerTests.put(lines.flatMap { $0 + [LineCodec.newline] }, into: file(number, of: stream))
    }

    /// Returns the records and remarks of a reader that verifies, such as agents and the controller.
    func verified() async throws -> (numbers: [Int], remarks: LedgerRemarks) {
        let reader = SharedLog(
            folder: folder,
            writer: .controller,
            security: cluster.readersSecurity,
            now: { writtenAt }
        )
        return try await Self.read(reader)
    }

    /// Returns the records and remarks of a reader that does not verify.
    func believed() async throws -> (numbers: [Int], remarks: LedgerRemarks) {
        try await Self.read(SharedLog(folder: folder, writer: .controller, security: .unsigned))
    }

    private static func read(_ reader: SharedLog) async throws -> ([Int], LedgerRemarks) {
        var cursor = ReadPosition()
        var numbers: [Int] = []
        let remarks = try await reader.readNew(OrderReport.self, from: &cursor) { numbers.append($0.number) }
        return (numbers, remarks)
    }
}
