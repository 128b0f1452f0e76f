// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// A world of three hosts and what happens in it, for a rule that a seed's faults would seldom reach.
struct Scene: Sendable {
    var faults: [ScheduledFault]
    var offVMs: Set<Int> = []
    var offlineOrders: [SimulationSettings.OfflineOrder] = []
    var act: @Sendable (World) throws(Violation) -> Void

    func world(mutations: Set<Mutation> = []) -> World {
        var settings = SmallWorld.ring(duration: .seconds(5000), faults: faults)
        (settings.offVMs, settings.offlineOrders, settings.mutations) = (offVMs, offlineOrders, mutations)
        return World(settings)
    }

    func violation(mutations: Set<Mutation>) -> Violation? {
        do throws(Violation) {
            try act(world(mutations: mutations))
            return nil
        } catch { return error }
    }

    /// h2 crashes in the move of vm1 from h1, and stays away.
    ///
    /// After an hour the controller orders the VM to h3.
    static let silentTarget = Scene(faults: [
        ScheduledFault(at: .milliseconds(500), lasts: .seconds(4500), fault: .targetLost(host: 0, phase: .memory))
    ]) { (world: World) throws(Violation) in
        try world.run(until: 0.9)
        try world.order(0, to: 1)
        try world.run(until: 3760)
        try world.order(0, to: 2)
        try world.run(until: 3820)
    }

    /// vm1 and vm2, which has joined it on h1, are ordered from there to h3 at once.
    static let onePathTwice = Scene(faults: []) { (world: World) throws(Violation) in
        try world.run(until: 0.9)
        try world.order(1, to: 0)
        try world.run(until: 60)
        for vm in [0, 1] { try world.order(vm, to: 2, issuer: .operator) }
        try world.run(until: 180)
        #expect(world.places(of: 0) == [2] && world.places(of: 1) == [2])
    }

    /// The answer to the offline move of vm1 from h1 to h2 is lost, and an operator starts the VM on h1.
    static let startedDuringMove = Scene(
        faults: [
            ScheduledFault(at: .milliseconds(500), lasts: .seconds(100), fault: .answerLost(host: 0, resumes: false)),
            ScheduledFault(at: .seconds(1000), lasts: .seconds(1), fault: .operatorStartsOff(host: 0)),
        ],
        offVMs: [0],
        offlineOrders: [SimulationSettings.OfflineOrder(at: .seconds(1), vm: 0, target: 1)]
    ) { (world: World) throws(Violation) in
        func isUnderWay() -> Bool {
            world.hosts[1].copy(of: 0) == nil || world.offlineJobs[0]?.contains(0) == true
        }
        while isUnderWay(), world.simulatedSeconds < 60 { try world.run(for: .milliseconds(20)) }
        world.begin(1)
        try world.run(for: .seconds(5))
        world.end(1)
        try world.run()
    }
}
