// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Testing

/// `evenkeel init` and `evenkeel host add`.
@Suite(.timeLimit(.minutes(2))) struct HostCommandTests {
    @Test func `a host is added by its name and its LAN address`() async throws {
        let parent = FileManager.default.temporaryDirectory.appendingPathComponent("ek-host-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: parent) }
        let configuration = "\(parent)/evenkeel.yaml"
        try Data("ledger: {folder: \(parent)/ledger}\n".utf8).write(to: URL(fileURLWithPath: configuration))
        func run(_ arguments: [String]) async throws -> CommandResult {
            let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            return try await Command(
                program.appendingPathComponent("evenkeel").path,
                arguments + ["--folder", "\(parent)/cluster", "--config", configuration],
                timeLimit: .seconds(60)
            ).result()
        }
        func add(_ name: String, _ address: String, _ more: String...) async throws -> CommandResult {
            try await run(["host", "add", name, "--address", address, "--output", "\(parent)/\(name)"] + more)
        }
        let made = try await run(
            ["init", "--controller", "\(parent)/controller", "--operator", "\(parent)/operator"]
        )
        #expect(made.exitCode == 0 && made.standardOutput.contains("host add NAME --address LAN\n"), "\(made)")

        let first = try await add("h1", "10.0.0.1")
        #expect(first.exitCode == 0, "\(first)")
        #expect(
            first.standardOutput.contains("inside the tunnels: 10.78.0.1, the first free address in 10.78.0.0/24\n")
        )
        let entry = try String(contentsOfFile: "\(parent)/h1/host.yaml", encoding: .utf8)
        #expect(entry.contains("inner_address: \"10.78.0.1\"\n"), "\(entry)")
        #expect(try await add("h2", "10.0.0.2").standardOutput.contains("inside the tunnels: 10.78.0.2,"))
        let listed = try await run(["host", "list"])
        #expect(listed.standardOutput.contains(/h2 +h2 10\.0\.0\.2 10\.78\.0\.2/), "\(listed)")

        // Its entry in the configuration counts as soon as there is one.
        var lines = "hosts:\n"
        for number in 1...4 {
            lines += "  - {name: h\(number), address: 10.0.0.\(number), inner_address: 10.78.0.\(number * 10), "
            lines += "libvirt_uri: \"qemu+tls://h\(number)/system\"}\n"
        }
        try Data("ledger: {folder: \(parent)/ledger}\n\(lines)".utf8).write(to: URL(fileURLWithPath: configuration))
        #expect(
            try await add("h4", "10.0.0.4").standardOutput.contains("inside the tunnels: 10.78.0.40, from 'hosts'")
        )

        let refused = try await add("h5", "10.78.0.77")
        #expect(
            refused.exitCode == 1 && refused.standardError.contains("10.78.0.77, which is on the LAN"),
            "\(refused)"
        )
        #expect(!FileManager.default.fileExists(atPath: "\(parent)/h5"))
        let told = try await add("h5", "10.78.0.77", "--inner-address", "10.79.0.5")
        #expect(told.exitCode == 0 && told.standardOutput.contains("10.79.0.5, as specified\n"), "\(told)")
    }
}
