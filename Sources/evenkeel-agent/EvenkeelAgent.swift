// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

@main
struct EvenkeelAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evenkeel-agent",
        abstract: "Agent of a hypervisor host: samples its load and carries out orders",
        discussion: """
            Opens no port: agents and controller communicate only through the ledger. Requires root, libvirtd and \
            strongSwan. 'evenkeel configuration' prints and explains every configuration key.
            """,
        subcommands: [RunCommand.self, MeshCommand.self],
        defaultSubcommand: RunCommand.self
    )
}
