// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import FleetFiles
import Foundation
import Settings
import TestSupport
import Testing

struct ReplayTests {
    @Test(arguments: 1...5) func `the replay of a controller's recording gives the same effects`(
        seed: UInt64
    ) async throws {
        let recording = try await controllerRecording(seed: seed)
        let replay = try replayController(recording)
        #expect(replay.differences.isEmpty && replay.differenceCount == 0)
        #expect(replay.clock.events == lines(recording).count - 1)
        #expect(replay.clock.first == .second(0) && replay.clock.last == .second(600))
        let orders = lines(recording).filter { $0.contains("{\"submit\":") }
        #expect(orders.count >= 3, "a history without decisions proves nothing")
    }

    @Test func `the replay of the default strategy's search gives the same effects`() async throws {
        let recording = try await controllerRecording(vms: 3, rounds: 5, ["policy.strategy=balance"])
        #expect(String(decoding: recording, as: UTF8.self).contains("{\"submit\":"))
        #expect(try replayController(recording).differenceCount == 0)
    }

    @Test func `the replay of an agent's recording gives the same effects, with its limits`() async throws {
        let recording = try await agentRecording()
        #expect(try replayAgent(recording).differenceCount == 0)
        #expect(try Recording(recording, name: "r").header.limits == ScriptedAgent.limits)
        let text = String(decoding: recording, as: UTF8.self)
        for effect in [
            "append", "readRequirements", "checkTarget", "migrate", "cancelMigration", "look", "apply", "announce",
        ] {
            #expect(text.contains("{\"\(effect)\":"), "the history has no such effect")
        }
    }

    @Test func `an agent with another hand-over limit is replayed with it`() async throws {
        let order = ScriptedAgent.sealedOrder
        let core = AgentCore(host: ScriptedAgent.host, limits: AgentCore.Limits(handover: .seconds(7)))
        let header = RecordingHeader(agent: core, configuration: Settings().documentedFile())
        let bytes = try await recording(of: core, header) { core in
            for event in ScriptedAgent.withdrawn(order) { _ = core.handle(event) }
        }
        #expect(lines(bytes).last?.contains("{\"withdrawn\":") == true, "the limit makes a difference")
        #expect(try replayAgent(bytes).differenceCount == 0)
    }

    @Test func `a changed effect is found with its event's number`() async throws {
        var lines = lines(try await controllerRecording())
        let index = try #require(lines.firstIndex { $0.contains("{\"submit\":") })
        lines[index].replace("\"expires\":", with: "\"expires\":1")
        let replay = try replayController(data(lines))
        #expect(replay.differenceCount == 1)
        let difference = try #require(replay.differences.first)
        #expect(difference.event == index && difference.recorded != difference.now)
    }

    @Test func `a removed effect is found`() async throws {
        var lines = lines(try await agentRecording())
        let index = try #require(lines.firstIndex { $0.contains("{\"migrate\":{\"_0\":{\"channel\"") })
        let effects = try #require(lines[index].firstRange(of: "\"event\""))
        lines[index] = "{\"effects\":[]," + lines[index][effects.lowerBound...]
        let difference = try #require(try replayAgent(data(lines)).differences.first)
        #expect(difference.event == index && difference.recorded.isEmpty && difference.now.count == 1)
    }

    @Test func `a changed event gives other effects`() async throws {
        var lines = lines(try await controllerRecording())
        for index in lines.indices where lines[index].contains("\"host\":\"h1\"") {
            lines[index].replace(/"busyCores":[0-9.]+/, with: "\"busyCores\":0.1")
            lines[index].replace(/"cpuCores":[0-9.]+/, with: "\"cpuCores\":0.01")
        }
        #expect(try replayController(data(lines)).differenceCount > 0)
    }

    @Test func `a lost event gives other effects`() async throws {
        var lines = lines(try await agentRecording())
        lines.remove(at: 3)
        #expect(try replayAgent(data(lines)).differenceCount > 0)
    }

    @Test func `only the first differences are kept, and all are counted`() async throws {
        var lines = lines(try await controllerRecording())
        for index in lines.indices.dropFirst() {
            lines[index].replace("{\"effects\":[", with: "{\"effects\":[\(said),")
        }
        lines = lines.map { $0.replacing("\(said),]", with: "\(said)]") }
        let replay = try replayController(data(lines))
        #expect(replay.differenceCount == lines.count - 1 && replay.differences.map(\.event) == Array(1...10))
    }

    private let said = "{\"announce\":{\"_0\":{\"inControl\":{\"hosts\":0,\"orders\":0}}}}"
}

struct PolicyTrialTests {
    @Test(arguments: 1...5) func `the recorded policy in place of itself gives the same orders`(
        seed: UInt64
    ) async throws {
        let outcomes = try outcomes(of: try await controllerRecording(seed: seed), with: try configuration())
        #expect(outcomes.allSatisfy { $0.dropped.isEmpty && $0.new.isEmpty })
        #expect(outcomes.contains { !$0.same.isEmpty })
    }

    @Test func `a policy that moves nothing would have given none of the orders`() async throws {
        let recording = try await controllerRecording()
        let outcomes = try outcomes(of: recording, with: try configuration(["policy.mode=advise"]))
        let orders = lines(recording).map { $0.ranges(of: "{\"submit\":").count }.reduce(0, +)
        #expect(outcomes.flatMap(\.dropped).count == orders && orders > 0)
        #expect(outcomes.allSatisfy { $0.new.isEmpty && $0.same.isEmpty })
    }

    @Test func `a policy with another threshold would have given other orders`() async throws {
        let recording = try await controllerRecording()
        let flags = ["policy.cpu.upper=50%", "policy.cpu.lower=40%", "policy.aggressiveness=5"]
        #expect(try outcomes(of: recording, with: try configuration(flags)).contains { !$0.new.isEmpty })
    }

    private func outcomes(of bytes: Data, with settings: Settings) throws -> [PolicyTrial.Outcome] {
        var trial = PolicyTrial(controller(settings))
        var outcomes: [PolicyTrial.Outcome] = []
        try Recording(bytes, name: "r").forEach(of: ControllerCore.self) { outcomes.append(trial.take($0)) }
        return outcomes
    }
}
