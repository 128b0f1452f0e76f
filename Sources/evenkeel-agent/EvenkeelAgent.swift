// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

@main
struct EvenkeelAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evenkeel-agent",
        abstract: "The agent of one hypervisor host: samples its load and carries out orders."
    )
}
