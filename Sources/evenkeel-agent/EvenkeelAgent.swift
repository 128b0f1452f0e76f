// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

@main
struct EvenkeelAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evenkeel-agent",
        abstract: "The agent of one hypervisor host: samples its load and carries out orders.",
        discussion: """
            It listens on nothing: it meets the controller in the ledger. Needs root, libvirtd and strongSwan. \
            'evenkeel configuration' prints every key of the configuration with its meaning.
            """,
        subcommands: [RunCommand.self, MeshCommand.self],
        defaultSubcommand: RunCommand.self
    )
}
