// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Ledger

struct LedgerCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Verify every record in the ledger and count the accepted and the rejected ones",
        discussion: """
            Verifies each record's signature, position and writer. Exits with code 1 if a record is unsigned, altered or \
            copied, belongs to another writer or ledger, is from the future, or was written by a removed host.
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Print JSON")
    var json = false

    func run() async throws {
        let ledger = try await options.openOperatorsLedger(try options.settings())
        var found = Findings()
        try await found.read(OrderRecord.self, of: ledger)
        try await found.read(OrderReport.self, of: ledger)
        try await found.read(LoadSample.self, of: ledger)
        print(json ? try jsonText(found) : found.text)
        if found.passedOver.contains(where: { $0.kind.isRefusal }) { throw ExitCode.failure }
    }

    struct Findings: Encodable {
        struct Count: Encodable {
            var stream: LedgerStream
            var writer: LedgerWriter
            var records: Int
        }

        private(set) var counted: [Count] = []
        private(set) var passedOver: [LedgerRemarks.Entry] = []

        mutating func read<Entry: LedgerEntry>(_ entries: Entry.Type, of ledger: any FleetLedger) async throws {
            var remarks = LedgerRemarks()
            var counts: [LedgerWriter: Int] = [:]
            for log in try await ledger.logs(of: Entry.stream) {
                var cursor: Cursor?
                while true {
                    let batch = try await ledger.read(entries, in: log, from: cursor, limit: 1000, selecting: nil)
                    for record in batch.records { counts[record.writer, default: 0] += 1 }
                    remarks.add(batch.remarks)
                    cursor = batch.next
                    if !batch.hasMore { break }
                }
            }
            counted += counts.map { Count(stream: Entry.stream, writer: $0, records: $1) }
                .sorted { $0.writer.description < $1.writer.description }
            passedOver += remarks.entries
        }

        var text: String {
            let table = TextTable(
                ["STREAM", "WRITER", "RECORDS"],
                counted.map { [$0.stream.rawValue, $0.writer.description, String($0.records)] },
                empty: "No accepted records in the ledger."
            )
            return table.text + "\n\n" + LedgerTally(passedOver).text
        }
    }
}
