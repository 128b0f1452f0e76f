// SPDX-License-Identifier: Apache-2.0
import HostOS
import Coordination
import Fleet
import FleetFiles
import Foundation
import Hypervisor
import Ledger
import TestSupport
import Testing

@testable import HostAgent

@Suite(.timeLimit(.minutes(2))) struct AgentRecordingTests {
    private let fleet = TestFleet()
    private let order = MigrationOrder.testOrder(at: .now)

    init() { fleet.world.place(.testVM(), on: h1) }

    @Test func `a replay of both agents' recordings repeats what they did`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("agents-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await fleet.run(record: { "\(folder)/\($0)" }) {
            try await fleet.submit(order)
            let end = try await fleet.end(of: order)
            #expect(end.word == "done")
        }
        for (host, moved) in [(h1, [order]), (h2, [])] {
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
            #expect(effects.compactMap { if case .migrate(let order, _) = $0 { order } else { nil } } == moved)
        }
        #expect(fleet.log.contains("recording to \(folder)/h1"))
    }
}
