// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Hypervisor hosts, storage and guests on this machine, to try things in."
    )
}
