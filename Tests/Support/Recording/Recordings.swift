// SPDX-License-Identifier: Apache-2.0
package import Coordination
import Fleet
package import Foundation
package import Settings

package import FleetFiles

package func bytes(of path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

/// Returns the configuration of the scripted fleet's controller, with a strategy that is fast in a debug build.
package func configuration(_ flags: [String] = []) throws -> Settings {
    let own = ["policy.decision_interval=10s", "policy.cpu.upper=80.5%", "policy.strategy=push"]
    return try Settings.load(file: nil, flags: own + flags)
}

/// Returns a recording of a controller driven by the scripted fleet.
package func controllerRecording(
    seed: UInt64 = 1,
    vms: Int = 10,
    rounds: Int = 120,
    _ flags: [String] = []
) async throws -> Data {
    let settings = try configuration(flags)
    let header = RecordingHeader(controller: settings.documentedFile())
    return try await recording(of: controller(settings), header) { core in
        var fleet = ScriptedFleet(seed: seed, vms: vms)
        fleet.drive(&core, rounds: rounds)
    }
}

package func agentRecording() async throws -> Data {
    let core = AgentCore(host: ScriptedAgent.host, limits: ScriptedAgent.limits)
    let header = RecordingHeader(agent: core, configuration: Settings().documentedFile())
    return try await recording(of: core, header) { ScriptedAgent.drive(&$0) }
}

package func controller(_ settings: Settings) -> ControllerCore {
    ControllerCore(policy: settings.policy, decisionInterval: settings.decisionInterval)
}

package func recording<C: Core>(
    of core: C,
    _ header: RecordingHeader,
    drive: (inout RecordedCore<C>) -> Void
) async throws -> Data {
    try await withFolder { folder in
        var core = RecordedCore(core) { print("the recording ended: \($0)") }
        guard let path = core.record(to: "\(folder)/recording", header) else { throw NotRecorded() }
        drive(&core)
        return try bytes(of: path)
    }
}

/// Returns the lines of a recording, the header first.
package func lines(_ recording: Data) -> [String] {
    String(decoding: recording, as: UTF8.self).split(separator: "\n").map(String.init)
}

package func data(_ lines: [String]) -> Data { Data((lines.joined(separator: "\n") + "\n").utf8) }

/// Replays a controller's recording with the configuration in its header.
package func replayController(_ bytes: Data) throws -> Replay<ControllerCore> {
    let recording = try Recording(bytes, name: "r")
    let settings = try Settings.load(file: ("r:1", recording.header.configuration))
    var replay = Replay(controller(settings))
    try recording.forEach(of: ControllerCore.self) { replay.take($0) }
    return replay
}

package func replayAgent(_ bytes: Data) throws -> Replay<AgentCore> {
    let recording = try Recording(bytes, name: "r")
    guard let host = recording.header.host, let limits = recording.header.limits else { throw NotRecorded() }
    var replay = Replay(AgentCore(host: host, limits: limits))
    try recording.forEach(of: AgentCore.self) { replay.take($0) }
    return replay
}

/// The recording could not be created, or its header is incomplete.
private struct NotRecorded: Error {}
