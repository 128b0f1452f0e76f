// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Lab

/// One end of a bulk transfer; `evenkeel-lab compare` starts it on the lab's hosts.
struct StreamCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stream",
        abstract: "Send or receive bytes over TCP and print the duration",
        shouldDisplay: false
    )

    @Option(help: "IPv4 address of the receiver")
    var address: String

    @Option(help: "Port of the receiver")
    var port: UInt16

    @Flag(help: "Receive one connection")
    var listen = false

    @Option(help: "Number of bytes to send")
    var bytes = 0

    func run() throws {
        if listen {
            try BulkTransfer.receive(on: address, port: port) { printLine("listening") }
        } else {
            printLine("\(try BulkTransfer.send(to: address, port: port, bytes: bytes))")
        }
    }
}
