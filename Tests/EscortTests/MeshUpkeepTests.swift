// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import HostOS
import Synchronization
import Testing

@testable import Escort

/// What the mesh restores on a host that others administer, too, and that may be slow.
@Suite struct MeshUpkeepTests {
    /// Answers like charon, nft and ip, and keeps the commands.
    private final class FakeHost: Sendable {
        let commands = Mutex<[String]>([])
        let isFlushed = Mutex(false)
        let handshakeTakesLong = Mutex(false)

        var runner: CommandRunner {
            CommandRunner { [self] command, _ in
                let arguments = command.arguments
                commands.withLock { $0.append(([command.program] + arguments).joined(separator: " ")) }
                if arguments.starts(with: ["list", "table"]), isFlushed.withLock({ $0 }) {
                    let said = "Error: No such file or directory\nlist table inet evenkeel\n"
                    return CommandResult(exitCode: 1, standardError: said)
                }
                if arguments.contains("--initiate"), handshakeTakesLong.withLock({ $0 }) {
                    throw CommandError.timedOut(command: "swanctl", limit: .seconds(1))
                }
                return CommandResult(exitCode: 0, standardOutput: Self.answer(to: arguments))
            }
        }

        private static func answer(to arguments: [String]) -> String {
            if arguments.contains("--stats") { return "stats reply {\n  plugins = [\n    kernel-netlink\n  ]\n}\n" }
            guard arguments.contains("--list-conns") else { return "" }
            return ["evenkeel-h2", "evenkeel-_verify-h2"].map { "list-conn event {\n  \($0) {\n  }\n}\n" }.joined()
        }
    }

    /// Credentials with files, as certificates are.
    private struct FileCredentials: Credentials {
        func authentication(local: HostName, peer: HostName) throws -> Authentication {
            Authentication(
                local: SwanctlSection("local", ["auth": "pubkey"]),
                remote: SwanctlSection("remote", ["auth": "pubkey"]),
                provesAddresses: true
            )
        }
        var files: [CredentialFile] { [CredentialFile(folder: "x509", name: "evenkeel-h1.pem", text: "certificate")] }
    }

    private func withMesh(_ body: (Mesh, FakeHost) async throws -> Void) async throws {
        let folder = "/tmp/evenkeel-mesh-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        _ = try await Command("mkdir", ["-p", folder]).run()
        let host = FakeHost()
        let mesh = Mesh(
            local: "h1",
            credentials: FileCredentials(),
            placement: .alone(folder: folder),
            runner: host.runner
        )
        let result: Result<Void, any Error>
        do { result = .success(try await body(mesh, host)) } catch { result = .failure(error) }
        _ = try await Command("rm", ["-r", folder]).run()
        try result.get()
    }

    @Test func `gates that another program has flushed are counted once, and closed again`() async throws {
        try await withMesh { mesh, host in
            let inventory = MeshConfigurationTests.inventory(["h1", "h2"])
            host.isFlushed.withLock { $0 = true }
            try await mesh.apply(inventory)
            #expect(await mesh.lossesOfGates == 0, "before the first call there are none")
            try await mesh.apply(inventory)
            #expect(await mesh.lossesOfGates == 1)
            host.isFlushed.withLock { $0 = false }
            try await mesh.apply(inventory)
            #expect(await mesh.lossesOfGates == 1)
            #expect(host.commands.withLock { $0 }.filter { $0 == "nft -f -" }.count == 3)
        }
    }

    @Test func `a reason of swanctl is not hidden behind plugins that are not installed`() {
        let noise = "plugin 'chapoly': failed to load - chapoly_plugin_create not found and no plugin file available\n"
        let said = "initiate failed: establishing CHILD_SA failed\n"
        for result in [
            CommandResult(exitCode: 1, standardOutput: said, standardError: noise + noise),
            CommandResult(exitCode: 1, standardOutput: "other", standardError: noise + said),
        ] {
            #expect(result.errorMessage == "exit code 1: initiate failed: establishing CHILD_SA failed")
        }
        #expect(CommandResult(exitCode: 1, standardError: noise).errorMessage == "exit code 1")
    }

    @Test func `a verification handshake does not meet one that was late`() async throws {
        try await withMesh { mesh, host in
            try await mesh.apply(MeshConfigurationTests.inventory(["h1", "h2"]))
            let peer = try await mesh.peer("h2")
            func steps() -> [String] {
                host.commands.withLock { commands in
                    defer { commands = [] }
                    return commands.compactMap { command in
                        guard command.contains("evenkeel-_verify-h2") else { return nil }
                        return command.split(separator: " ").dropFirst().first.map(String.init)
                    }
                }
            }
            _ = steps()
            host.handshakeTakesLong.withLock { $0 = true }
            #expect(await mesh.credentialRefusal(by: peer) != nil)
            #expect(steps() == ["--terminate", "--initiate", "--terminate"])
            host.handshakeTakesLong.withLock { $0 = false }
            #expect(await mesh.credentialRefusal(by: peer) == nil)
            #expect(steps() == ["--terminate", "--initiate", "--terminate"])
        }
    }
}
