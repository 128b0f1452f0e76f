// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Testing

/// The commands as people run them.
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

    /// Runs `evenkeel` with a file of this content in place of `FILE`, and gives back its folder's file as well.
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

    @Test func plansASnapshot() async throws {
        let result = try await evenkeel(["plan", "--snapshot", "FILE"])
        #expect(result.succeeded, "\(result.standardError)")
        #expect(result.standardOutput.contains("h1 is overloaded (CPU 88 %, 80 % allowed)"))
        #expect(result.standardOutput.contains("88 % -> 44 %"))
    }

    @Test func printsJSONForMachines() async throws {
        let result = try await evenkeel(["plan", "--snapshot", "FILE", "--strategy", "push", "--json"])
        let plan = try #require(
            JSONSerialization.jsonObject(with: Data(result.standardOutput.utf8)) as? [String: Any]
        )
        let moves = try #require(plan["moves"] as? [[String: Any]])
        #expect(moves.count == 1 && moves[0]["source"] as? String == "h1" && moves[0]["target"] as? String == "h2")
        #expect(plan["strategy"] as? String == "push")
    }

    @Test func explainsAVMAndAHost() async throws {
        let vm = try await evenkeel(["explain", "web-2", "--snapshot", "FILE"])
        #expect(vm.succeeded && vm.standardOutput.contains("web-2 is on h1"))
        let host = try await evenkeel(["explain", "h1", "--snapshot", "FILE"])
        #expect(host.succeeded && host.standardOutput.contains("h1 is overloaded"))
        let nobody = try await evenkeel(["explain", "web-3", "--snapshot", "FILE"])
        #expect(!nobody.succeeded && nobody.standardError.contains("web-"))
    }

    @Test func findsThePlaceForANewVM() async throws {
        let result = try await evenkeel(["place", "--cores", "2", "--memory", "4G", "--snapshot", "FILE"])
        #expect(result.succeeded && result.standardOutput.contains("h2"))
        let huge = try await evenkeel(["place", "--cores", "2", "--memory", "400G", "--snapshot", "FILE"])
        #expect(!huge.succeeded && huge.standardOutput.contains("of memory free"))
    }

    @Test func refusesBadInputWithTheLine() async throws {
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
