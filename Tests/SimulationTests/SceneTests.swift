// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// What the agents do in the scenes that prove mutations.
struct SceneTests {
    @Test func `a VM moves elsewhere once the target of its failed move has been silent for an hour`() throws {
        let world = Scene.silentTarget.world()
        try Scene.silentTarget.act(world)
        #expect(!world.hosts[1].isUp && world.places(of: 0) == [2])
    }

    @Test func `the target removes the definition of a VM that was started at its source`() throws {
        let world = Scene.startedDuringMove.world()
        try Scene.startedDuringMove.act(world)
        #expect(world.places(of: 0) == [0] && world.hosts[1].copy(of: 0) == nil)
        #expect(world.hosts[0].copy(of: 0)?.startsWithHost == true)
    }

    @Test func `a source whose target keeps the definition raises an alert, and asks no more`() throws {
        let scene = Scene.startedDuringMove
        let world = scene.world(mutations: [.withdrawsNothing])
        var lines: [String] = []
        world.log = { lines.append($0) }
        #expect(throws: Violation.self) { try scene.act(world) }
        let alerts = lines.filter { $0.contains("cannot remove the definition of vm1 on h2") }
        #expect(alerts.count == 1)
        let questions = world.ledger.records.count { record in
            guard case .report(let report) = record.entry, case .asked = report.step else { return false }
            return true
        }
        #expect(questions < 30)
    }
}
