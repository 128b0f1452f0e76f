// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

struct PlannerTests {
    /// Hosts of 16 cores and 64 GiB.
    private func host(_ name: String, mode: HostMode = .active, version: UInt64? = nil) -> Fleet.Host {
        Host(
            name: HostName(name),
            capacity: Resources(cpuCores: 16, memoryBytes: 64 << 30),
            cpus: 16,
            mode: mode,
            hypervisor: version.map {
                HypervisorFacts(type: "qemu", version: $0, libvirtVersion: 1, architecture: "x86_64", cpuModel: nil)
            }
        )
    }

    private func vm(_ id: String, on host: String, cores: Double = 1, gibibytes: UInt64 = 4) -> VirtualMachine {
        VirtualMachine(
            id: VMID(id),
            name: id,
            host: HostName(host),
            demand: Resources(cpuCores: cores, memoryBytes: gibibytes << 30),
            vcpus: 2
        )
    }

    private func model(
        _ hosts: [Fleet.Host],
        _ vms: [VirtualMachine],
        rules: [PlacementRule] = []
    ) -> FleetModel {
        FleetModel(at: .second(0), hosts: hosts, vms: vms, rules: rules)
    }

    private func plan(_ model: FleetModel, _ planning: PlanningPolicy = PlanningPolicy()) -> Plan {
        let planner = Planner(planning: planning, improvement: 20_000)
        let plan = planner.plan(for: model)
        var check = PlanCheck(plan, of: model, policy: planner.policy, planning: planning)
        check.checkEnd()
        #expect(check.faults.isEmpty)
        return plan
    }

    @Test func `the plan relieves the contended host first`() throws {
        let busy = (1...8).map { vm("busy\($0)", on: "h1", cores: 2) }
        let plan = plan(model([host("h1"), host("h2"), host("h3")], busy), PlanningPolicy(aggressiveness: 2))
        #expect(plan.before.contendedHosts == 1 && plan.before.coresLacking > 3)
        #expect(plan.after.contendedHosts == 0)
        let move = try #require(plan.moves.first)
        guard case .overload(HostName("h1"), let contention) = move.reason.cause else {
            Issue.record("\(move.reason)")
            return
        }
        #expect(move.purpose == .contention && contention == [.cpu(share: 1, allowed: 0.8, isForecast: false)])
        #expect(move.reason.effect?.seconds == move.seconds && move.reason.effect?.worth != .partOfOthers)
    }

    @Test func `the first level makes only mandatory moves`() {
        let busy = (1...8).map { vm("busy\($0)", on: "h1", cores: 2) }
        let level = PlanningPolicy(aggressiveness: 1)
        #expect(plan(model([host("h1"), host("h2")], busy), level).moves.isEmpty)
        let drained = plan(model([host("h1", mode: .maintenance), host("h2")], busy), level)
        #expect(drained.moves.count == 8 && drained.after.violations == 0)
        #expect(drained.moves.allSatisfy { $0.purpose == .drain && $0.target == HostName("h2") })
    }

    @Test func `a host in maintenance keeps VMs that fit nowhere and gives the reason`() throws {
        let full = (1...15).map { vm("full\($0)", on: "h2", cores: 0.1) }
        let plan = plan(
            model([host("h1", mode: .maintenance), host("h2")], full + [vm("big", on: "h1", gibibytes: 16)])
        )
        #expect(plan.moves.isEmpty && plan.after.violations == 1)
        let refusal = try #require(plan.refusals.first { $0.vm == VMID("big") })
        #expect(refusal.has(.memory(freeBytes: 4 << 30, neededBytes: 16 << 30, isMost: false), on: ["h2"]))
    }

    @Test func `full hosts swap VMs through a third host`() throws {
        // h1 and h2 are full; only a swap satisfies both rules.
        let vms =
            [vm("a", on: "h1", gibibytes: 32), vm("b", on: "h2", gibibytes: 32)]
            + [vm("c", on: "h1", gibibytes: 32), vm("d", on: "h2", gibibytes: 32)]
        let rules = [
            PlacementRule(name: "a-there", kind: .onlyOn, vms: [VMID("a")], hosts: [HostName("h2"), HostName("h3")]),
            PlacementRule(name: "b-there", kind: .onlyOn, vms: [VMID("b")], hosts: [HostName("h1"), HostName("h3")]),
            PlacementRule(name: "h3-empty", kind: .neverOn, vms: [VMID("c"), VMID("d")], hosts: [HostName("h3")]),
        ]
        let plan = plan(model([host("h1"), host("h2"), host("h3")], vms, rules: rules))
        #expect(plan.after.violations == 0 && !plan.moves.isEmpty)
    }

    @Test func `VMs that must be together are gathered and move together`() {
        let rule = PlacementRule(name: "pair", kind: .together, vms: [VMID("a"), VMID("b")])
        let scattered = model([host("h1"), host("h2")], [vm("a", on: "h1"), vm("b", on: "h2")], rules: [rule])
        #expect(plan(scattered).moves.count == 1)
        let onDrained = model(
            [host("h1", mode: .maintenance), host("h2"), host("h3")],
            [vm("a", on: "h1"), vm("b", on: "h1")],
            rules: [rule]
        )
        #expect(Set(plan(onDrained).moves.map(\.target)).count == 1)
    }

    @Test func `VMs that must be apart are separated`() {
        let rule = PlacementRule(name: "spread", kind: .apart, vms: ["a", "b", "c"].map { VMID($0) })
        let fleet = model(
            [host("h1"), host("h2"), host("h3")],
            ["a", "b", "c"].map { vm($0, on: "h1") },
            rules: [rule]
        )
        let plan = plan(fleet)
        #expect(plan.moves.count == 2 && plan.after.violations == 0)
        #expect(plan.moves.allSatisfy { $0.purpose == .rule })
    }

    @Test func `VMs move to a later hypervisor version and never back`() {
        let vms = (1...8).map { vm("v\($0)", on: "h1", cores: 2) }
        let up = model([host("h1", version: 7_000_000), host("h2", version: 8_000_000)], vms)
        #expect(!plan(up).moves.isEmpty)
        let down = model([host("h1", version: 8_000_000), host("h2", version: 7_000_000)], vms)
        let stuck = plan(down)
        #expect(stuck.moves.isEmpty)
        #expect(stuck.refusals.contains { $0.has(.olderHypervisor, on: ["h2"]) })
    }

    @Test func `a plan has at most the allowed number of moves`() {
        let vms = (1...12).map { vm("v\($0)", on: "h1") }
        for most in 0...3 {
            let planning = PlanningPolicy(aggressiveness: 5, maxMoves: most)
            #expect(plan(model([host("h1"), host("h2"), host("h3")], vms), planning).moves.count == most)
        }
    }

    @Test func `an intermediate stop counts as one of the allowed moves`() {
        // Each of the two fits only on the other's host; a third host can take either for a while.
        let hosts = [host("h1"), host("h2"), host("h3")]
        let vms = [vm("a", on: "h1", gibibytes: 40), vm("b", on: "h2", gibibytes: 40)]
        var fleet = model(hosts, vms)
        fleet.rules = [
            PlacementRule(name: "a", kind: .onlyOn, vms: [VMID("a")], hosts: [HostName("h2"), HostName("h3")]),
            PlacementRule(name: "b", kind: .onlyOn, vms: [VMID("b")], hosts: [HostName("h1"), HostName("h3")]),
            PlacementRule(name: "a there", kind: .preferably, vms: [VMID("a")], hosts: [HostName("h2")]),
            PlacementRule(name: "b there", kind: .preferably, vms: [VMID("b")], hosts: [HostName("h1")]),
        ]
        for most in 0...4 {
            let moves = plan(fleet, PlanningPolicy(maxMoves: most)).moves
            #expect(moves.count == min(most, 3), "\(most): \(moves.map(\.reason))")
        }
    }

    @Test(arguments: Strategy.allCases) func `without time the plan is empty and marked as cut short`(
        strategy: Strategy
    ) {
        let vms = (1...12).map { vm("v\($0)", on: "h1") }
        let fleet = model([host("h1"), host("h2"), host("h3")], vms)
        let planner = Planner(planning: PlanningPolicy(strategy: strategy))
        let plan = planner.plan(for: fleet, shouldStop: { true })
        #expect(plan.moves.isEmpty && plan.wasCutShort)
    }

    @Test func `the smaller of two equally helpful VMs moves`() throws {
        let vms =
            [vm("large", on: "h1", cores: 6, gibibytes: 16), vm("small", on: "h1", cores: 6, gibibytes: 2)]
            + [vm("there", on: "h1", cores: 2, gibibytes: 8)]
        let planning = PlanningPolicy(aggressiveness: 2)
        let move = try #require(plan(model([host("h1"), host("h2")], vms), planning).moves.first)
        #expect(move.vm == VMID("small"))
    }

    @Test func `the faster of two paths is preferred`() throws {
        let vms = (1...10).map { vm("vm\($0)", on: "h1", cores: 1.4, gibibytes: 4) }
        for fast in ["h2", "h3"] {
            var fleet = model([host("h1"), host("h2"), host("h3")], vms)
            for target in ["h2", "h3"] {
                let path = Path(source: HostName("h1"), target: HostName(target))
                fleet.bandwidths[path] = target == fast ? 1e9 : 1e7
            }
            let move = try #require(plan(fleet, PlanningPolicy(maxMoves: 1)).moves.first)
            #expect(move.target == HostName(fast))
            #expect(abs(move.seconds - Double(4 << 30) / 1e9) < 0.01)
        }
    }

    @Test func `the plan makes room for the failure of a host`() throws {
        // 24 GiB are free on each of two hosts, so neither has room for the VM of 32 GiB.
        var vms = [vm("large", on: "h1", gibibytes: 32)]
        for (host, number) in [("h2", 1), ("h2", 2), ("h2", 3), ("h2", 4), ("h2", 5), ("h3", 6), ("h3", 7), ("h3", 8)] {
            vms.append(vm("vm\(number)", on: host, cores: 0.5, gibibytes: 8))
        }
        vms += [9, 10].map { vm("vm\($0)", on: "h3", cores: 0.5, gibibytes: 8) }
        let fleet = model([host("h1"), host("h2"), host("h3")], vms)
        let plan = plan(fleet, PlanningPolicy(aggressiveness: 1, reserveHosts: 1))
        #expect(plan.before.violations == 1 && plan.after.violations == 0)
        #expect(plan.moves.count == 1 && plan.moves.first?.purpose == .reserve)
        #expect(plan.moves.first?.memoryBytes == 8 << 30)
        #expect(self.plan(fleet, PlanningPolicy(aggressiveness: 1)).moves.isEmpty, "nothing is kept in reserve")
        let hopeless = self.plan(fleet, PlanningPolicy(aggressiveness: 1, reserveHosts: 2))
        #expect(hopeless.refusals.contains { $0.reason == .noRoomAfterFailure } && hopeless.shortage != nil)
    }

    @Test func `the plan names the number of missing hosts`() throws {
        let vms = (1...20).map { vm("v\($0)", on: "h\($0 % 2 + 1)", cores: 2, gibibytes: 2) }
        let plan = plan(model([host("h1"), host("h2")], vms))
        let shortage = try #require(plan.shortage)
        // Demand is 40 cores, 2 × 12.8 are available under the threshold: 14.4 are missing, two hosts of 12.8.
        #expect(shortage.hosts == 2 && shortage.reason.code == "cpu-full")
        #expect(abs(try #require(shortage.reason.cores) - 14.4) < 1e-9)
        #expect(!plan.refusals.isEmpty)
        let roomy = model([host("h1"), host("h2")], [vm("v", on: "h1")])
        #expect(self.plan(roomy, PlanningPolicy(reserveHosts: 1)).shortage == nil)
        #expect(self.plan(roomy, PlanningPolicy(reserveHosts: 2)).shortage?.hosts == 1)
    }

    @Test(arguments: [Strategy.threshold, .push, .pull, .pushPull])
    func `the rules relieve overload and leave the rest alone`(strategy: Strategy) {
        let planning = PlanningPolicy(strategy: strategy)
        let vms = (1...8).map { vm("v\($0)", on: "h1", cores: 2) }
        let plan = plan(model([host("h1"), host("h2"), host("h3")], vms), planning)
        #expect(plan.moves.count == 2, "two moves bring 16 of 16 cores to 12 of 16")
        #expect(plan.after.contendedHosts == 0 && plan.strategy == strategy)
        let uneven = model([host("h1"), host("h2")], (1...5).map { vm("v\($0)", on: "h1", cores: 2) })
        #expect(self.plan(uneven, planning).moves.isEmpty)
    }

    @Test func `consolidation goes as far as the reserve allows`() {
        let vms = (1...4).map { vm("v\($0)", on: "h\($0)", cores: 2, gibibytes: 4) }
        let fleet = model((1...4).map { host("h\($0)") }, vms)
        func hostsUsed(_ reserve: Int) -> Int {
            let planning = PlanningPolicy(strategy: .consolidate, reserveHosts: reserve)
            let planner = Planner(planning: planning)
            return Set(planner.placement(after: plan(fleet, planning), of: fleet).values).count
        }
        #expect(hostsUsed(0) == 1)
        #expect(hostsUsed(1) == 2)
        #expect(hostsUsed(3) == 4)
    }

    @Test func `the best host for a new VM is named`() throws {
        let fleet = model(
            [host("h1"), host("h2"), host("h3", mode: .maintenance)],
            [vm("a", on: "h1", cores: 6, gibibytes: 16)]
        )
        let choices = Planner().bestHosts(for: vm("new", on: "", cores: 2), in: fleet)
        #expect(choices.map(\.host.rawValue) == ["h2", "h1", "h3"])
        #expect(choices[0].obstacle == nil && choices[2].obstacle == .hostMode(.maintenance))
        let huge = Planner().bestHosts(for: vm("huge", on: "", gibibytes: 60), in: fleet)
        #expect(huge[0].host == HostName("h2") && huge[1].obstacle != nil)
    }

    @Test func `planning stops when time is over and marks the plan as cut short`() {
        let vms = (1...12).map { vm("v\($0)", on: "h1") }
        let plan = Planner().plan(for: model([host("h1"), host("h2")], vms), shouldStop: { true })
        #expect(plan.wasCutShort && plan.moves.isEmpty)
    }

    @Test func `the plan explains which VMs move and which stay`() {
        var pinned = vm("pinned", on: "h1")
        pinned.staysBecause = .stated("it is pinned")
        let fleet = model([host("h1"), host("h2")], [pinned] + (1...8).map { vm("v\($0)", on: "h1", cores: 2) })
        let planner = Planner()
        let plan = planner.plan(for: fleet)
        let pinnedOne = planner.explain(vm: VMID("pinned"), in: fleet, plan: plan)
        #expect(pinnedOne.contains(.stays(.stays(.stated("it is pinned")), isAfterMoves: true)))
        let moved = plan.moves[0]
        let h2 = HostName("h2")
        #expect(
            planner.explain(vm: moved.vm, in: fleet, plan: plan)
                .contains(.moves(to: h2, wave: moved.wave, moved.purpose, moved.reason))
        )
        #expect(
            planner.explain(host: HostName("h1"), in: fleet, plan: plan)
                .contains(.leaves(vm: moved.vmName, to: h2, moved.reason))
        )
        #expect(planner.explain(vm: VMID("nobody"), in: fleet, plan: plan).isEmpty)
    }
}
