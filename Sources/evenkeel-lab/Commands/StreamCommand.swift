// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Lab

/// One end of a bulk transfer; 'lab compare' starts it inside the lab's hosts.
struct StreamCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stream",
        abstract: "Send or receive bytes over TCP and say how long it took.",
        shouldDisplay: false
    )

    @Option(help: "The receiver's IPv4 address.")
    var address: String

    @Option(help: "Its port.")
    var port: UInt16

    @Flag(help: "Receive one connection.")
    var listen = false

    @Option(help: "Send so many bytes.")
    var bytes = 0

    func run() throws {
        if listen {
            try BulkTransfer.receive(on: address, port: port) { printLine("listening") }
        } else {
            printLine("\(try BulkTransfer.send(to: address, port: port, bytes: bytes))")
        }
    }
}
