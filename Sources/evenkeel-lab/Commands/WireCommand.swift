// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Lab

/// The man in the middle; `evenkeel-lab tamper` starts it in the LAN's namespace.
struct WireCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wire",
        abstract: "Forward frames between two interfaces and change some of them",
        shouldDisplay: false
    )

    @Option(help: "Port of the attacked host, detached from the bridge")
    var port: String

    @Option(help: "Interface to the bridge")
    var outside: String

    @Option(help: "File for the statistics")
    var statistics: String

    @Option(help: "Share of large encrypted payloads in which to flip a bit")
    var noise: Double

    @Option(help: "Random seed")
    var seed: UInt64

    @Option(help: "FILE:INTERFACE: namespace file, and an interface in it whose offloads are turned off")
    var plainFrames: [String] = []

    @Option(help: "Bytes to search for, in hexadecimal")
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
