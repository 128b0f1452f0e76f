// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Foundation
import Ledger
import Settings

struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "Create and check the ledger",
        subcommands: [Create.self, LedgerCheckCommand.self, LedgerAcceptCommand.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create the ledger's folder on shared storage, once per fleet",
            discussion: "Leaves an existing ledger unchanged. The parent folder must exist."
        )

        @OptionGroup var options: ConfigurationOptions

        func run() async throws {
            let folder = try options.settings().ledger.folder
            try await SharedLog.create(folder: folder)
            print("\(folder): the ledger is ready")
        }
    }
}
