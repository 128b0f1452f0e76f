// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import HostOS
import Fleet
import Ledger

struct MeshCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "Show the tunnels between the hosts.",
        subcommands: [Status.self]
    )

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show each pair: up or not, suite, age, next rekey, traffic, and the last move's evidence.",
            discussion: """
                What the agents wrote of their hosts' tunnels, each host's view in a line of its own. A tunnel that is up \
                may outlive its peer by some seconds; each move proves more before it begins. Exit code 1 if a tunnel is \
                down.
                """
        )

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let settings = try options.settings()
            let ledger = try await options.openOperatorsLedger(settings)
            let view = try await MeshView.read(ledger, settings: settings)
            printLine(json ? try jsonText(view) : view.text)
            if !view.isWhole { throw ExitCode.failure }
        }
    }
}
