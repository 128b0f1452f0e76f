// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Foundation
import HostOS
import Ledger
import Settings

struct DefinitionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "definitions",
        abstract: "List and restore the definitions of VMs that the hosts have stored",
        subcommands: [List.self, Restore.self],
        defaultSubcommand: List.self
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the stored definition of each VM",
            discussion: """
                Shows the copies of the hosts that define a VM or, if none does, that of the host that defined it last. \
                AGE is the time since the host first had this definition. Every signature is verified.
                """
        )

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "List the copies of all hosts, also of those that no longer define the VM")
        var all = false

        @Flag(help: "Print JSON")
        var json = false

        func run() async throws {
            let view = DefinitionsView(try await options.definitions(options.settings()), all: all, at: .now)
            printLine(json ? try jsonText(view) : view.text)
        }
    }

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the stored definition of a VM, for 'virsh define'",
            discussion: """
                Changes nothing on any host. If the hosts have stored different definitions of the VM, choose one with \
                --from. Notes on what the definition lacks, on parts that reach the host, and on hosts that have the VM go \
                to standard error.
                """
        )

        @Argument(help: "Name or UUID of the VM")
        var vm: String

        @Option(help: ArgumentHelp("Use the copy of this host", valueName: "host"))
        var from: String?

        @Option(help: ArgumentHelp("Write the definition to this file", valueName: "file"))
        var output: String?

        @OptionGroup var options: ConfigurationOptions

        func run() async throws {
            let settings = try options.settings()
            let content = try await options.definitions(settings, wanted: vm)
            for warning in content.warnings { printError("warning: \(warning)".plainText()) }
            var fleet: FleetView?
            do {
                fleet = try await FleetView.read(options.openOperatorsLedger(settings), settings: settings)
            } catch {
                printError("warning: cannot find out which hosts have the VM: \(error)".plainText())
            }
            let chosen = try DefinitionChoice(content).copy(
                of: vm,
                from: from.map { HostName($0) },
                arrivals: fleet?.arrivals ?? [:]
            )
            let notes = chosen.notes(hosts: fleet?.hosts ?? [], staleAfter: settings.policy.staleAfter, at: .now)
            for note in notes { printError(note) }
            let xml = chosen.copy.definition.xml
            let bytes = Data((xml.hasSuffix("\n") ? xml : xml + "\n").utf8)
            if let output {
                try FleetInput.write(bytes, to: output)
                printError("\(output): written. On one host only, run 'virsh define \(output)'.")
            } else {
                try FileHandle.standardOutput.write(contentsOf: bytes)
            }
        }
    }
}
