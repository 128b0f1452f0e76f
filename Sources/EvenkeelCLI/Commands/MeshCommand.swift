// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import HostOS
import Fleet
import Ledger

struct MeshCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "Show the tunnels between the hosts",
        subcommands: [Status.self]
    )

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show each tunnel: state, suite, age, next rekey, traffic, and the evidence of the last move",
            discussion: """
                Shows what the agents reported, in one line per host and peer. A tunnel may be shown as up for some \
                seconds after its peer has failed; every move tests the path before it starts. Exits with code 1 if a \
                tunnel is down or a host has not reported.
                """
        )

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "Print JSON")
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
