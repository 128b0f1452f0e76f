// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Lab
import Testing

/// Attacks on the ports of source and target, on real hosts; each is shown to work where there is no gate.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("AttackTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct AttackTests {
    /// Three hosts, so that one of the mesh is neither source nor target.
    static let three = LabPlan(
        hosts: (1...3).map { HostPlan(number: $0, cores: 0.7) },
        guests: (1...2).map { GuestPlan(number: $0, host: HostName("h1"), unitMicroseconds: 1_300) }
    )

    @Test(.timeLimit(.minutes(10)))
    func `attacks on the migration ports fail, and end moves where a gate is off`() async throws {
        try await TestLab.with(Self.three) { world in
            try await attacksChangeNothing(world)
            try await theSameAttacksWorkWhereTheGateIsOff(world)
            try await withoutTheTableTheInnerAddressIsOpen(world)
        }
    }

    private func attacksChangeNothing(_ world: TestLab) async throws {
        let (h1, h2) = (try world.host("h1"), try world.host("h2"))
        let stranger = try await world.strangerWithRoutes()
        let member = world.lab.attacker(on: try world.host("h3"))
        // The third host's packets do arrive through its tunnels: libvirt's TLS port is behind no pinhole.
        for host in [h1, h2] {
            try await world.poll("h3's tunnel to \(host.name)", within: .seconds(60)) {
                try await member.scan(host.innerAddress, ports: [16514])[16514] == .open
            }
        }
        let before = [try await world.dropped("h1"), try await world.dropped("h2")]

        // Begins with the order's submission, so that the listener's first moments are under attack.
        let attackers = [
            (stranger, h2.address), (stranger, h2.innerAddress), (member, h2.address), (member, h2.innerAddress),
        ]
        let early = Task {
            try await withThrowingTaskGroup(of: Int.self) { group in
                for (attacker, address) in attackers {
                    group.addTask { try await attacker.hammer(address, ports: [49152, 49153], for: .seconds(90)) }
                }
                return try await group.reduce(0, +)
            }
        }
        defer { early.cancel() }
        let order = try await world.beginSlowMove()
        try await world.poll("the pinhole to close when the bytes flow", within: .seconds(10)) {
            try await world.pinholes("h2") == 0
        }
        var reached = 0
        for assault in Assault.allCases {
            for host in [h1, h2] {
                for address in [host.address, host.innerAddress] {
                    for attacker in [stranger, member] { reached += try await assault.strike(attacker, address) }
                }
            }
        }
        // libvirt's unencrypted port is shut, and so is its TLS port on an address that only members can reach.
        for host in [h1, h2] {
            let shut: [(Attacker, String, UInt16)] = [
                (stranger, host.address, 16509), (stranger, host.innerAddress, 16509), (member, host.address, 16509),
                (stranger, host.innerAddress, 16514),
            ]
            for (attacker, address, port) in shut {
                let state = try await attacker.scan(address, ports: [port], timeLimit: .milliseconds(300))[port]
                #expect(state == .filtered, "\(address):\(port)")
            }
        }
        early.cancel()
        reached += try await early.value
        #expect(reached == 0, "no connection came about")

        try await world.speedUp()
        let (_, evidence) = try await world.done(order)
        #expect(evidence.verdict == .covered)
        #expect(evidence.probes.count == 2 && evidence.probes.allSatisfy { $0.outcome == .shut })
        #expect(try #require(evidence.droppedAtGates) > 0)
        try await world.expect("vm1", on: "h2")
        for (host, before) in zip(["h1", "h2"], before) {
            let after = try await world.dropped(host)
            print("dropped at \(host)'s gates: \(after)")
            for counter in ["dropped_in", "dropped_unplanned", "dropped_libvirt"] {
                #expect(after[counter, default: 0] > before[counter, default: 0], "\(counter) on \(host)")
            }
        }
    }

    /// The pinhole is the gate between the mesh's other hosts and a target.
    private func theSameAttacksWorkWhereTheGateIsOff(_ world: TestLab) async throws {
        let (h2, h3) = (try world.host("h2"), try world.host("h3"))
        let member = world.lab.attacker(on: h3)
        try await world.openGate(of: "h2", for: h3.innerAddress)
        for assault in Assault.allCases {
            let attack = Task { try await assault.keepOn(member, h2.innerAddress) }
            defer { attack.cancel() }
            let failure = try await world.failure(of: try await world.order("vm2", from: "h1", to: "h2"))
            attack.cancel()
            print("\(assault.rawValue) ended a move where the gate was off: \(failure.text)")
            #expect(try await attack.value > 0)
            #expect(failure.whereabouts == .at(HostName("h1")))
            try await world.expect("vm2", on: "h1")
        }
        try await world.shutGate(of: "h2", for: h3.innerAddress)
        // The gate alone made the difference.
        let attack = Task { try await Assault.scan.keepOn(member, h2.innerAddress) }
        defer { attack.cancel() }
        _ = try await world.done(try await world.order("vm2", from: "h1", to: "h2"))
        attack.cancel()
        #expect(try await attack.value == 0)
    }

    private func withoutTheTableTheInnerAddressIsOpen(_ world: TestLab) async throws {
        let h2 = try world.host("h2")
        let stranger = try await world.strangerWithRoutes()
        func states() async throws -> [[UInt16: Attacker.PortState]] {
            [
                try await stranger.scan(h2.innerAddress, ports: [16514]),
                try await stranger.scan(h2.address, ports: [49152]),
            ]
        }
        let shut: [[UInt16: Attacker.PortState]] = [[16514: .filtered], [49152: .filtered]]
        #expect(try await states() == shut)
        try await h2.killAgent()
        try await h2.run(Command("nft", ["delete", "table", "inet", "evenkeel"]))
        #expect(try await states() == [[16514: .open], [49152: .closed]])
        // The agent restores the table before anything else.
        try await world.lab.startAgent(on: h2, world.programs, settings: world.settings)
        try await world.poll("the gates to be shut again", within: .seconds(30)) { try await states() == shut }
    }

    @Test(.timeLimit(.minutes(6)))
    func `a pinhole closes by itself when its agent dies`() async throws {
        try await TestLab.with(MainJobTests.quiet) { world in
            let h2 = try world.host("h2")
            try await world.slowDown("vm1", on: "h1")
            try await world.lab.waitForSamples()
            #expect(try await world.pinholes("h2") == 0)
            let order = try await world.order("vm1", from: "h1", to: "h2", lifetime: .seconds(15))
            try await world.poll("the target's consent", within: .seconds(15)) {
                try await world.steps().contains { $0.order == order && $0.step == .prepared() }
            }
            try await h2.killAgent()
            #expect(try await world.pinholes("h2") == 1)
            try await world.waitUntilRunning(order)
            // No agent closes it, and it is open only for its window: 15 s, 30 s for consent, 35 s for libvirt's
            // job lock, 40 s to prove the path, 30 s to connect.
            try await world.poll("the pinhole to close by itself", within: .seconds(170)) {
                try await world.pinholes("h2") == 0
            }
            #expect(h2.processes(of: "agent").isEmpty)
            try await world.speedUp()
            let (_, evidence) = try await world.done(order)
            #expect(evidence.verdict == .covered)
            try await world.lab.startAgent(on: h2, world.programs, settings: world.settings)
        }
    }
}
