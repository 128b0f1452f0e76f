// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Foundation
import Ledger
import Settings

struct LedgerAcceptCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept",
        abstract: "Go on with a ledger that was set back or replaced on purpose.",
        discussion: """
            Agent and controller keep marks of how far they have seen the ledger, and do nothing by one that lacks what \
            they have seen. This removes the marks of one of them, on the machine it runs on, so that it begins anew \
            with the ledger as it is. Stop it first. Orders that the ledger shows as not begun and that have not \
            expired may be taken up again: 'evenkeel cancel' those that must not. What a host has begun it notes in a \
            file of its own beside the marks (FILE.orders), which stays, so that it begins none of them twice; remove \
            that as well where the file is damaged.
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Argument(
        help: ArgumentHelp("Whose marks: host:NAME or controller.", valueName: "writer"),
        transform: { word in
            guard let writer = LedgerWriter(word), writer != .operator else {
                throw ValidationError("'\(word)' keeps no marks; say host:NAME or controller")
            }
            return writer
        }
    )
    var writer: LedgerWriter

    func run() async throws {
        let path = try options.settings().ledger.marks ?? LedgerMarks.defaultPath(of: writer)
        guard FileManager.default.fileExists(atPath: path) else {
            throw ValidationError("\(writer) has no marks in \(path).")
        }
        try FileManager.default.removeItem(atPath: path)
        print("\(writer) will begin anew with the ledger as it is; removed \(path).")
    }
}
