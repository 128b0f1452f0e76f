// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Testing

/// The commands `evenkeel plan` and `evenkeel place`.
struct PlanCommandTests {
    static let snapshot = """
        {
          "format": "evenkeel-snapshot",
          "version": 1,
          "hosts": [
            {"name": "h1", "cores": 16, "memoryBytes": 68719476736},
            {"name": "h2", "cores": 16, "memoryBytes": 68719476736}
          ],
          "vms": [
            {"id": "web-1", "host": "h1", "cores": 7, "memoryBytes": 8589934592, "vcpus": 8},
            {"id": "web-2", "host": "h1", "cores": 7, "memoryBytes": 8589934592, "vcpus": 8}
          ]
        }
        """

    /// Runs `evenkeel` with a file of this content in place of `FILE`.
    private func evenkeel(_ arguments: [String], file content: String = snapshot) async throws -> CommandResult {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("plan-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("fleet")
        try Data(content.utf8).write(to: file)
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        return try await Command(
            program.appendingPathComponent("evenkeel").path,
            arguments.map { $0.replacing("FILE", with: file.path) },
            timeLimit: .seconds(60)
        ).result()
    }

    @Test func `plan prints the plan for a snapshot`() async throws {
        let result = try await evenkeel(["plan", "--snapshot", "FILE"])
        #expect(result.succeeded, "\(result.standardError)")
        #expect(result.standardOutput.contains("h1 is overloaded (CPU 88 %, 80 % allowed)"))
        #expect(result.standardOutput.contains("88 % -> 44 %"))
    }

    @Test func `plan prints JSON`() async throws {
        let result = try await evenkeel(["plan", "--snapshot", "FILE", "--strategy", "push", "--json"])
        let plan = try #require(
            JSONSerialization.jsonObject(with: Data(result.standardOutput.utf8)) as? [String: Any]
        )
        let moves = try #require(plan["moves"] as? [[String: Any]])
        #expect(moves.count == 1 && moves[0]["source"] as? String == "h1" && moves[0]["target"] as? String == "h2")
        #expect(plan["strategy"] as? String == "push")
        #expect(moves[0]["code"] as? String == "overload")
        #expect((moves[0]["reason"] as? String)?.hasPrefix("h1 is overloaded") == true)
        let hosts = try #require(plan["hosts"] as? [[String: Any]])
        #expect(hosts.map { $0["code"] as? String } == ["contention", "load"])
        #expect((hosts[0]["before"] as? [String: Any])?.keys.contains("vcpusPerCPU") == true)
        let calm = try await object(["plan", "--snapshot", "FILE", "--aggressiveness", "1", "--json"])
        #expect(calm["emptyCode"] as? String == "overload-is-left")
        #expect(calm["emptyBecause"] as? String == "aggressiveness 1 does not resolve overload")
        let refusals = try #require(calm["refusals"] as? [[String: Any]])
        #expect(refusals.allSatisfy { $0["code"] as? String == "no-target" } && refusals.count == 2)
        #expect(refusals.allSatisfy { $0["obstacles"] as? [String] == ["only-necessary-moves"] })
    }

    private func object(_ arguments: [String]) async throws -> [String: Any] {
        let output = try await evenkeel(arguments).standardOutput
        return try #require(JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
    }

    @Test func `plan explains a VM and a host`() async throws {
        let vm = try await evenkeel(["explain", "web-2", "--snapshot", "FILE"])
        #expect(vm.succeeded && vm.standardOutput.contains("web-2 is on h1"))
        let host = try await evenkeel(["explain", "h1", "--snapshot", "FILE"])
        #expect(host.succeeded && host.standardOutput.contains("h1 is overloaded"))
        let answer = try await object(["explain", "h1", "--snapshot", "FILE", "--json"])
        #expect((answer["lines"] as? [String])?.first == "h1 is overloaded: CPU 88 %, 80 % allowed")
        #expect(answer["codes"] as? [String] == ["contention", "overload"])
        let nobody = try await evenkeel(["explain", "web-3", "--snapshot", "FILE"])
        #expect(!nobody.succeeded && nobody.standardError.contains("web-"))
    }

    @Test func `place finds a host for a new VM`() async throws {
        let result = try await evenkeel(["place", "--cores", "2", "--memory", "4G", "--snapshot", "FILE"])
        #expect(result.succeeded && result.standardOutput.contains("h2"))
        let huge = try await evenkeel(["place", "--cores", "2", "--memory", "400G", "--snapshot", "FILE"])
        #expect(!huge.succeeded && huge.standardOutput.contains("of memory free"))
        let place = ["place", "--cores", "2", "--memory", "400G", "--snapshot", "FILE", "--json"]
        let output = try await evenkeel(place).standardOutput
        let choices = try #require(JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]])
        #expect(choices.count == 2 && choices.allSatisfy { $0["code"] as? String == "memory" })
        #expect(choices.allSatisfy { ($0["obstacle"] as? String)?.hasSuffix("400 GiB needed") == true })
    }

    @Test func `bad input is refused with its line number`() async throws {
        let bad = Self.snapshot.replacing("\"web-2\", \"host\": \"h1\"", with: "\"web-2\", \"host\": \"h9\"")
        let result = try await evenkeel(["plan", "--snapshot", "FILE"], file: bad)
        #expect(!result.succeeded && result.standardError.contains("fleet:10: VM web-2 is on h9"))
        let cut = try await evenkeel(["plan", "--snapshot", "FILE"], file: String(Self.snapshot.prefix(200)))
        #expect(!cut.succeeded && cut.standardError.contains("truncated"))
        let ganeti = try await evenkeel(["plan", "--ganeti", "FILE"])
        #expect(!ganeti.succeeded && ganeti.standardError.contains("fleet:"))
        let both = try await evenkeel(["plan", "--ganeti", "FILE", "--snapshot", "FILE"])
        #expect(!both.succeeded)
        let level = try await evenkeel(["plan", "--snapshot", "FILE", "--aggressiveness", "6"])
        #expect(!level.succeeded)
    }
}
