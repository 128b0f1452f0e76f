// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import FleetFiles

struct RecordingFileTests {
    @Test func `a torn last line is left out`() async throws {
        let whole = try await agentRecording()
        for missing in [1, 5, 20] {
            let torn = whole.dropLast(missing)
            #expect(try Recording(torn, name: "r").isTorn)
            let replay = try replayAgent(torn)
            #expect(replay.differenceCount == 0 && replay.clock.events == lines(whole).count - 2)
        }
        #expect(try !Recording(whole, name: "r").isTorn)
    }

    @Test func `a malformed line is refused with its number`() async throws {
        var lines = lines(try await agentRecording())
        lines[4].removeLast(3)
        #expect(throws: FleetFileError(file: "r", line: 5, reason: "it is not JSON")) { try replayAgent(data(lines)) }
        lines[4] = "{\"effects\":[]}"
        #expect(throws: FleetFileError(file: "r", line: 5, reason: "the line has no 'event'")) {
            try replayAgent(data(lines))
        }
        lines[4] = ""
        #expect(throws: FleetFileError.self) { try replayAgent(data(lines)) }
    }

    @Test func `another version is refused`() async throws {
        var lines = lines(try await agentRecording())
        lines[0].replace("\"version\":3", with: "\"version\":2")
        let reason = "its version is 2; this program reads version 3"
        #expect(throws: FleetFileError(file: "r", line: 1, reason: reason)) { try Recording(data(lines), name: "r") }
    }

    @Test(arguments: ["", "no recording", "no recording\n", "{}\n", "{\"format\":\"other\",\"version\":1}\n"])
    func `a file that is not a recording is refused`(text: String) {
        let error = #expect(throws: FleetFileError.self) { try Recording(Data(text.utf8), name: "r") }
        #expect(error?.line == 1 && error?.reason.contains("not a recording") == true)
    }

    @Test func `a recording of the other core is refused at its first event`() async throws {
        let recording = try Recording(try await agentRecording(), name: "r")
        let error = #expect(throws: FleetFileError.self) { try recording.forEach(of: ControllerCore.self) { _ in } }
        #expect(error?.line == 2)
    }

    @Test func `a recording is private, and an existing file is not overwritten`() async throws {
        try await withFolder { folder in
            var paths: [String?] = []
            for _ in 1...3 {
                var core = RecordedCore(AgentCore(host: ScriptedAgent.host)) { Issue.record("\($0)") }
                let header = RecordingHeader(agent: AgentCore(host: ScriptedAgent.host), configuration: "")
                paths.append(core.record(to: "\(folder)/r", header))
            }
            #expect(paths == ["\(folder)/r", "\(folder)/r.2", "\(folder)/r.3"])
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/r")
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
    }

    @Test func `a recording that cannot be created is reported, and the core continues`() {
        let reasons = Reasons()
        var core = RecordedCore(AgentCore(host: ScriptedAgent.host)) { reasons.add($0) }
        let header = RecordingHeader(agent: AgentCore(host: ScriptedAgent.host), configuration: "")
        #expect(core.record(to: "/nonexistent/r", header) == nil)
        ScriptedAgent.drive(&core)
        #expect(reasons.all == ["the recording cannot be created: No such file or directory"])
    }

    @Test func `a full disk ends the recording, is reported once, and the core continues`() async throws {
        try await withFolder { folder in
            let path = "\(folder)/r"
            #expect(FileManager.default.createFile(atPath: path, contents: nil))
            let file = try #require(FileHandle(forWritingAtPath: path))
            let header = RecordingHeader(agent: AgentCore(host: ScriptedAgent.host), configuration: "")
            let writer = try RecordingWriter(file, path: path, header)
            let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
            #expect(dup2(full.fileDescriptor, file.fileDescriptor) >= 0)
            let reasons = Reasons()
            var core = RecordedCore(AgentCore(host: ScriptedAgent.host)) { reasons.add($0) }
            core.record(to: writer)
            var alone = AgentCore(host: ScriptedAgent.host)
            for second in 0..<5 {
                let event = AgentCore.Event(
                    .order(.migrate(order: ScriptedAgent.order("o\(second)"))),
                    at: .second(second)
                )
                #expect(core.handle(event) == alone.handle(event))
            }
            #expect(reasons.all.count == 1 && reasons.all[0].contains("the recording cannot be written"))
            #expect(lines(try bytes(of: path)).count == 1, "the header")
        }
    }

    private final class Reasons: Sendable {
        private let reasons = Mutex<[String]>([])
        var all: [String] { reasons.withLock { $0 } }
        func add(_ error: FleetFileError) { reasons.withLock { $0.append(error.reason) } }
    }
}
