// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

/// VMs that cannot move, and targets that refuse a VM for a reason that lasts, take part in no plan.
struct CannotMoveTests {
    private let h1 = HostName("h1")
    private let h2 = HostName("h2")
    private let reasons = CannotMove([.hypervisor(.hostDevice("pci"))])

    /// 3.8 of 4 cores are busy.
    private func busy(immovable: Set<String>) -> [VMSample] {
        [vm("big", cores: 0.9, mebibytes: 8192), vm("lean", cores: 0.7, mebibytes: 512)].map { one in
            var one = one
            if immovable.contains(one.name) { one.cannotMove = reasons }
            return one
        }
    }

    private func plan(_ policy: Policy, _ vms: [VMSample]) -> Plan {
        SteadyPlanner(policy: policy).plan(for: snapshot([steady("h1", cpu: 3.8, vms: vms), steady("h2", cpu: 0.5)]))
    }

    private func stays(_ refusal: Refusal, _ name: String) -> Bool {
        guard case .stays(.cannotMove(let found)) = refusal.reason else { return false }
        return refusal.vmName == name && found == reasons
    }

    @Test func `another VM relieves the host in place of one that cannot move`() {
        let threshold = Policy(planning: PlanningPolicy(strategy: .threshold))
        #expect(plan(threshold, busy(immovable: [])).moves.map(\.vmName) == ["lean"])
        #expect(plan(threshold, busy(immovable: ["lean"])).moves.map(\.vmName) == ["big"])
    }

    @Test(arguments: Strategy.allCases) func `no strategy moves a VM that cannot move, and the plan says why`(
        strategy: Strategy
    ) {
        let plan = plan(Policy(planning: PlanningPolicy(strategy: strategy)), busy(immovable: ["big", "lean"]))
        #expect(plan.moves.isEmpty)
        for name in ["big", "lean"] { #expect(plan.refusals.contains { stays($0, name) }, "\(plan.refusals)") }
    }

    @Test(arguments: Strategy.allCases) func `a drain takes the others and says why one stays`(strategy: Strategy) {
        let policy = Policy(planning: PlanningPolicy(strategy: strategy), maintenance: [h1])
        let plan = plan(policy, busy(immovable: ["big"]))
        #expect(plan.moves.map(\.vmName) == ["lean"] && plan.moves.map(\.purpose) == [.drain])
        #expect(plan.refusals.contains { stays($0, "big") })
    }

    @Test func `a rule does not move it either, and the plan names the rule and the reason`() throws {
        let rule = PlacementRule(name: "there", kind: .onlyOn, vms: [VMID("lean")], hosts: [h2])
        let fleet = snapshot([steady("h1", cpu: 1, vms: busy(immovable: ["lean"])), steady("h2", cpu: 0.5)])
        let plan = SteadyPlanner(policy: Policy(rules: [rule])).plan(for: fleet)
        #expect(!plan.moves.contains { $0.vmName == "lean" })
        let reason = try #require(reasons.map { RefusalReason.stays(.cannotMove($0)) })
        let broken = RefusalReason.breaksRules([.init(name: "there", kind: .onlyOn)], because: reason)
        #expect(plan.refusals.contains { $0.vmName == "lean" && $0.reason == broken }, "\(plan.refusals)")
    }

    @Test func `a group gathers around the member that cannot move`() {
        let rule = PlacementRule(name: "pair", kind: .together, vms: [VMID("big"), VMID("small")])
        // Without the reason, the small one would join the big one.
        var small = vm("small", cores: 0.1, mebibytes: 256)
        small.cannotMove = reasons
        let big = vm("big", cores: 0.5, mebibytes: 8192)
        let fleet = snapshot([steady("h1", cpu: 1, vms: [big]), steady("h2", cpu: 1, vms: [small])])
        let plan = SteadyPlanner(policy: Policy(rules: [rule])).plan(for: fleet)
        #expect(plan.moves.map(\.vmName) == ["big"] && plan.moves.map(\.target) == [h2])
    }

    @Test func `explain gives the reason for the VM and for its host`() throws {
        let policy = Policy(maintenance: [h1])
        let fleet = snapshot([steady("h1", cpu: 3.8, vms: busy(immovable: ["big", "lean"])), steady("h2", cpu: 0.5)])
        let steady = SteadyPlanner(policy: policy)
        let (plan, model) = steady.steady(FleetModel(fleet, policy: policy), snapshot: fleet)
        let planner = Planner(policy: policy)
        let stays = try #require(reasons.map { RefusalReason.stays(.cannotMove($0)) })
        let ofVM = planner.explain(vm: VMID("big"), in: model, plan: plan)
        #expect(ofVM.contains(.stays(stays, isAfterMoves: false)))
        let ofHost = planner.explain(host: h1, in: model, plan: plan)
        #expect(ofHost.contains(.notRelieved(vm: "big", stays)) && ofHost.contains(.notRelieved(vm: "lean", stays)))
    }

    @Test func `only the latest sample keeps the reason`() {
        var history = HostHistory(name: h1, samples: [])
        let vms = busy(immovable: ["big"])
        for second in [5, 10] { history.append(sample("h1", at: second, cpu: 1, vms: vms), policy: Policy()) }
        #expect(history.samples.map { $0.vms?.first?.cannotMove } == [nil, reasons])
    }
}

/// Refusals of targets.
struct LastingRefusalTests {
    private let facts = HypervisorFacts(
        type: "qemu",
        version: 7_002_000,
        libvirtVersion: 9_000_000,
        architecture: "x86_64",
        cpuModel: nil
    )
    private let cpu = PreflightFailure.Reason.hypervisor(.hostCPUDiffers(model: "EPYC"))

    private func refused(_ secondsAgo: Int, definition: String = "0a1b") -> PastMove {
        PastMove(
            move: move("lean", "h1", "h2"),
            endedAt: .second(101 - secondsAgo),
            succeeded: false,
            refusal: LastingRefusal(reason: cpu, definition: definition, hypervisor: facts)
        )
    }

    /// Plans for h1, whose only VM must leave, and h2.
    private func plan(_ past: [PastMove], version: UInt64 = 7_002_000) -> Plan {
        var lean = vm("lean", cores: 0.7)
        lean.definition = "0a1b"
        var hosts = [steady("h1", cpu: 3.8, vms: [lean]), steady("h2", cpu: 0.5)]
        var newer = facts
        newer.version = version
        hosts[0].samples[3].hypervisor = facts
        hosts[1].samples[3].hypervisor = newer
        return SteadyPlanner(policy: Policy(maintenance: [HostName("h1")])).plan(for: snapshot(hosts, past: past))
    }

    @Test func `a target that refused for a lasting reason is not asked again for a day`() {
        #expect(plan([]).moves.map(\.target) == [HostName("h2")])
        for secondsAgo in [3600, 86_000] {
            let plan = plan([refused(secondsAgo)])
            #expect(plan.moves.isEmpty)
            let obstacle = Obstacle.refused(cpu, secondsAgo: Int64(secondsAgo))
            #expect(plan.refusals.contains { $0.has(obstacle, on: ["h2"]) }, "\(plan.refusals)")
        }
        #expect(plan([refused(86_401)]).moves.count == 1)
    }

    /// After its restart, a controller does not know it.
    @Test func `it is asked again if its hypervisor at the refusal is unknown`() {
        var past = refused(3600)
        past.refusal?.hypervisor = nil
        #expect(plan([past]).moves.count == 1)
    }

    @Test func `it is asked again when the VM or its hypervisor has changed`() {
        #expect(plan([refused(3600, definition: "other")]).moves.count == 1)
        #expect(plan([refused(3600)], version: 8_000_000).moves.count == 1)
    }

    @Test func `a later move to it shows that the reason is gone`() {
        let there = PastMove(move: move("lean", "h1", "h2"), endedAt: .second(-3500), succeeded: true)
        let back = PastMove(move: move("lean", "h2", "h1"), endedAt: .second(-3000), succeeded: true)
        #expect(plan([refused(7200), there, back]).moves.count == 1)
    }
}
