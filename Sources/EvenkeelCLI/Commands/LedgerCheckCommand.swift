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
            copied, belongs to another writer or ledger, is from the future, or was written by a removed host. A file \
            that cannot be used, or a folder with too many files, is reported and also means code 1; everything else is \
            checked.
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
        found.trouble = ledger.folderTrouble
        print(json ? try jsonText(found) : found.text)
        if !found.isClean { throw ExitCode.failure }
    }

    struct Findings: Encodable {
        struct Count: Encodable {
            var stream: LedgerStream
            var writer: LedgerWriter
            var records: Int
        }

        private(set) var counted: [Count] = []
        private(set) var passedOver: [LedgerRemarks.Entry] = []
        /// What is wrong with the ledger's folders; `nil` if nothing is.
        fileprivate(set) var trouble: String?

        var isClean: Bool {
            trouble == nil && !passedOver.contains { $0.kind.isRefusal || $0.kind == .unusable }
        }

        mutating func read<Entry: LedgerEntry>(_ entries: Entry.Type, of ledger: SharedLog) async throws {
            var remarks = LedgerRemarks()
            var counts: [LedgerWriter: Int] = [:]
            var logs: [LedgerLog] = []
            do { logs = try await ledger.logs(of: Entry.stream) } catch let error as LedgerError where error.isOfOneFile
            {
                remarks.add(error, of: LedgerLog(Entry.stream))
            }
            for log in logs {
                var (cursor, hasMore, unusable) = (Cursor?.none, true, LedgerError?.none)
                while hasMore {
                    do {
                        let batch = try await ledger.read(entries, in: log, from: cursor, limit: 1000, selecting: nil)
                        for record in batch.records { counts[record.writer, default: 0] += 1 }
                        remarks.add(batch.remarks)
                        (cursor, hasMore) = (batch.next, batch.hasMore)
                    } catch let error as LedgerError where error.isOfOneFile {
                        // One file must not end the check of the others. The cursor may still be in the one before it.
                        if error != unusable { remarks.add(error, of: log) }
                        unusable = error
                        do { cursor = try await ledger.segment(after: cursor, in: log) } catch let error as LedgerError
                        {
                            remarks.add(error, of: log)
                            cursor = nil
                        }
                        hasMore = cursor != nil
                    }
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
            return table.text + "\n\n" + LedgerTally(passedOver).text + (trouble.map { "\n\n\($0)" } ?? "")
        }
    }
}
