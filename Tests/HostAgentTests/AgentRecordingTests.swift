// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import FleetFiles
import Foundation
import Hypervisor
import Ledger
import Testing

@testable import HostAgent

@Suite(.timeLimit(.minutes(2))) struct AgentRecordingTests {
    private let fleet = TestFleet()
    private let order = MigrationOrder.sample(at: .byTheWallClock)

    init() { fleet.world.place(.sample(), on: h1) }

    @Test func `what both agents did is done again from their recordings`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("agents-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await fleet.run(record: { "\(folder)/\($0)" }) {
            try await fleet.submit(order)
            let end = try await fleet.end(of: order)
            #expect(end.word == "done")
        }
        for (host, effect) in [(h1, AgentCore.Effect.migrate(order)), (h2, nil)] {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(host)"))
            let recording = try Recording(bytes, name: "r")
            #expect(recording.header.host == host && recording.header.limits?.jobLock == .zero)
            var replay = Replay(AgentCore(host: host, limits: try #require(recording.header.limits)))
            var effects: [AgentCore.Effect] = []
            try recording.forEach(of: AgentCore.self) {
                replay.take($0)
                effects += $0.effects
            }
            #expect(replay.differenceCount == 0 && replay.clock.events > 5)
            #expect(effects.filter { if case .migrate = $0 { true } else { false } } == (effect.map { [$0] } ?? []))
        }
        #expect(fleet.log.contains("recording to \(folder)/h1"))
    }
}
