// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Lab

/// The man in the middle's process; 'lab tamper' starts it in the LAN's namespace.
struct WireCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wire",
        abstract: "Hand frames from one interface to another and change some.",
        shouldDisplay: false
    )

    @Option(help: "The wired host's port, off the bridge.")
    var port: String

    @Option(help: "The interface that leads to the bridge.")
    var outside: String

    @Option(help: "The file for the statistics.")
    var statistics: String

    @Option(help: "The share of large encrypted payloads to flip a bit in.")
    var noise: Double

    @Option(help: "The seed of the choice.")
    var seed: UInt64

    @Option(help: "FILE:INTERFACE, a namespace's file and an interface whose offloads are turned off.")
    var plainFrames: [String] = []

    @Option(help: "Bytes to look for, in hexadecimal.")
    var target: [String] = []

    func run() throws {
        let offloads = try plainFrames.map { text in
            let parts = text.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { throw ValidationError("'\(text)' is not FILE:INTERFACE.") }
            return (namespaceFile: String(parts[0]), interface: String(parts[1]))
        }
        let targets = try target.map { text in
            guard let bytes = Self.bytes(text) else { throw ValidationError("'\(text)' is not hexadecimal.") }
            return bytes
        }
        try WireProcess(
            port: port,
            outside: outside,
            offloads: offloads,
            statisticsFile: statistics,
            tampering: Tampering(targets: targets, noise: noise, seed: seed)
        ).run()
    }

    private static func bytes(_ hexadecimal: String) -> [UInt8]? {
        let digits = hexadecimal.compactMap(\.hexDigitValue)
        guard digits.count == hexadecimal.count, digits.count % 2 == 0, !digits.isEmpty else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
