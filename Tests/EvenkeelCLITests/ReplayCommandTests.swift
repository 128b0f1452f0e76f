// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Settings
import TestSupport
import Testing

/// The command `evenkeel replay`.
struct ReplayCommandTests {
    /// Runs `evenkeel replay` on a file `recording`; a file `other.yaml` replaces `POLICY`.
    private func replay(
        _ recording: Data,
        _ arguments: [String] = [],
        policy: String = ""
    ) async throws -> CommandResult {
        try await withFolder { folder in
            let file = URL(fileURLWithPath: "\(folder)/recording")
            let other = URL(fileURLWithPath: "\(folder)/other.yaml")
            try recording.write(to: file)
            try Data(policy.utf8).write(to: other)
            let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            return try await Command(
                program.appendingPathComponent("evenkeel").path,
                ["replay", file.path] + arguments.map { $0.replacing("POLICY", with: other.path) },
                timeLimit: .seconds(60)
            ).result()
        }
    }

    @Test func `another process gets the same result from a controller's recording`() async throws {
        let recording = try await controllerRecording()
        let result = try await replay(recording)
        #expect(result.succeeded, "\(result.standardOutput) \(result.standardError)")
        #expect(result.standardOutput.hasPrefix("Recording of a controller: 2026-02-02 02:40:00Z to "))
        #expect(result.standardOutput.contains("(10 min 0 s), \(lines(recording).count - 1) events."))
        #expect(result.standardOutput.contains("h1 is overloaded"), "each order has its reason")
        #expect(result.standardOutput.contains("Replay identical."))
    }

    @Test func `another process gets the same result from an agent's recording`() async throws {
        let result = try await replay(try await agentRecording())
        #expect(result.succeeded, "\(result.standardOutput) \(result.standardError)")
        #expect(result.standardOutput.hasPrefix("Recording of the agent of h1: "))
        #expect(result.standardOutput.contains("2 moves started"))
    }

    @Test func `differences are shown and are a failure`() async throws {
        var lines = lines(try await controllerRecording())
        let index = try #require(lines.firstIndex { $0.contains("{\"submit\":") })
        lines[index].replace("h1 is overloaded", with: "h1 was sold")
        let result = try await replay(data(lines))
        #expect(result.exitCode == 1)
        #expect(result.standardOutput.contains("Replay differs in 1 of \(lines.count - 1) events:"))
        #expect(result.standardOutput.contains("event \(index) (line \(index + 1)), 2026-02-02 02:40:"))
        #expect(result.standardOutput.contains("h1 was sold"))
        let machine = try await replay(data(lines), ["--json"])
        let view = try #require(
            JSONSerialization.jsonObject(with: Data(machine.standardOutput.utf8)) as? [String: Any]
        )
        #expect(machine.exitCode == 1 && view["isSame"] as? Bool == false && view["differenceCount"] as? Int == 1)
    }

    @Test func `another policy's orders are a result, not a failure`() async throws {
        let recording = try await controllerRecording()
        let result = try await replay(
            recording,
            ["--policy", "POLICY"],
            policy: "policy: {mode: advise, strategy: push}"
        )
        #expect(result.succeeded, "\(result.standardError)")
        #expect(result.standardOutput.contains("dropped") && result.standardOutput.contains("hypothetical"))
        let same = try await replay(recording, ["--policy", "POLICY"], policy: try configuration().documentedFile())
        #expect(same.succeeded && same.standardOutput.contains("all orders the same"))
    }

    @Test func `bad input is refused with file, line and reason`() async throws {
        var lines = lines(try await controllerRecording())
        lines[9] = "{}"
        let malformed = try await replay(data(lines))
        #expect(malformed.exitCode == 1 && malformed.standardError.contains("recording:10: the line has no 'event'"))
        let other = try await replay(Data("a: b\n".utf8))
        #expect(other.exitCode == 1 && other.standardError.contains("recording:1: it is not a recording"))
        let agents = try await replay(try await agentRecording(), ["--policy", "POLICY"])
        #expect(agents.exitCode == 1 && agents.standardError.contains("this is the recording of an agent"))
        let bad = try await replay(
            try await controllerRecording(),
            ["--policy", "POLICY"],
            policy: "policy: {mod: off}"
        )
        #expect(bad.exitCode == 1 && bad.standardError.contains("other.yaml:1: policy.mod: unknown key"))
    }

    @Test func `a torn last line is reported`() async throws {
        let result = try await replay(try await controllerRecording().dropLast(5))
        #expect(result.succeeded && result.standardOutput.contains("The last line is incomplete"))
    }
}
