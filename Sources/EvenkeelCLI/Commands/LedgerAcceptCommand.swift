// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Foundation
import Ledger
import Settings

struct LedgerAcceptCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept",
        abstract: "Accept a ledger that was restored or replaced on purpose",
        discussion: """
            Agents and the controller record how far they have read the ledger (their marks), and refuse to act on a \
            ledger that lacks records they have seen. This command deletes the marks of one of them, so that it starts \
            over with the ledger as it is. Run it on that agent's or controller's machine, and stop the program first.

            Orders that the ledger shows as not started and not expired may then be carried out: cancel those that must \
            not, with 'evenkeel cancel'. An agent also records the orders it has started, in FILE.orders next to its \
            marks. Keep that file, so that no order is carried out twice; delete it only if it is damaged.
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Argument(
        help: ArgumentHelp("Owner of the marks: host:NAME or controller", valueName: "writer"),
        transform: { word in
            guard let writer = LedgerWriter(word), writer != .operator else {
                throw ValidationError("'\(word)' has no marks; use host:NAME or controller")
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
        print("\(writer): marks deleted (\(path)); it starts over with the ledger as it is")
    }
}
