// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Balancing

/// Properties of every plan for every fleet; a failure names the seed.
struct PlannerPropertyTests {
    static let seeds = 1...150

    private func planner(_ seed: Int) -> Planner {
        var planning = PlanningPolicy(aggressiveness: 1 + seed % 5)
        if seed.isMultiple(of: 3) { planning.vcpusPerCPU = 3 }
        if seed.isMultiple(of: 4) { planning.reserveHosts = 1 + seed / 4 % 2 }
        return Planner(planning: planning, improvement: 3000)
    }

    @Test(arguments: seeds) func `no hard constraint is broken at any time`(seed: Int) {
        var fleet = RandomFleet(seed: UInt64(seed))
        let model = fleet.model()
        let planner = planner(seed)
        let plan = planner.plan(for: model, seed: UInt64(seed))
        var check = PlanCheck(plan, of: model, policy: planner.policy, planning: planner.planning)
        check.checkEnd()
        #expect(check.faults.isEmpty, "seed \(seed)")
        let after = planner.placement(after: plan, of: model)
        #expect(check.hostOf == after, "seed \(seed): the predicted placement is not the result")
    }

    @Test(arguments: seeds) func `a plan has at most the allowed number of moves`(seed: Int) {
        var fleet = RandomFleet(seed: UInt64(seed))
        let model = fleet.model()
        var planner = planner(seed)
        let most = 1 + seed % 6
        planner.planning.maxMoves = most
        planner.planning.strategy = Strategy.allCases[seed / 6 % Strategy.allCases.count]
        let plan = planner.plan(for: model, seed: UInt64(seed))
        #expect(plan.moves.count <= most, "seed \(seed)")
        var check = PlanCheck(plan, of: model, policy: planner.policy, planning: planner.planning)
        check.checkEnd()
        #expect(check.faults.isEmpty, "seed \(seed)")
        #expect(plan.after.violations <= plan.before.violations, "seed \(seed)")
    }

    @Test(arguments: seeds) func `a plan never makes the objective worse`(seed: Int) {
        var fleet = RandomFleet(seed: UInt64(seed))
        let model = fleet.model()
        let planner = planner(seed)
        let plan = planner.plan(for: model, seed: UInt64(seed))
        let before = objective(of: model, planner)
        let after = objective(of: model.placed(planner.placement(after: plan, of: model)), planner)
        #expect(after <= before + 1e-6, "seed \(seed): \(before) became \(after)")
        #expect(plan.moves.isEmpty || after < before, "seed \(seed): moves for nothing")
        #expect(plan.after.violations <= plan.before.violations, "seed \(seed)")
    }

    private func objective(of model: FleetModel, _ planner: Planner) -> Double {
        let space = PlacementSpace(model, policy: planner.policy, planning: planner.planning)
        let placement = Placement(space)
        let displaced = FailureReserve(placement).displaced.count
        return Objective(space).value(of: placement) + Objective.violation * Double(displaced)
    }

    @Test(arguments: seeds) func `after a plan was carried out there is nothing left to plan`(seed: Int) {
        var fleet = RandomFleet(seed: UInt64(seed))
        let model = fleet.model(rules: false, modes: false)
        let planner = planner(seed)
        let plan = planner.plan(for: model, seed: UInt64(seed))
        guard
            !plan.refusals.contains(where: { if case .deadlock = $0.reason { true } else { false } })
        else { return }
        let again = planner.plan(for: model.placed(planner.placement(after: plan, of: model)), seed: UInt64(seed))
        #expect(again.moves.isEmpty, "seed \(seed): \(again.moves.map(\.reason))")
    }

    @Test(arguments: seeds) func `the names of hosts do not affect the plan`(seed: Int) {
        var fleet = RandomFleet(seed: UInt64(seed))
        let model = fleet.model()
        let names = model.hosts.map(\.name)
        let shuffled = names.shuffled(using: &fleet.random).map { HostName("other-\($0)") }
        let renaming = Dictionary(uniqueKeysWithValues: zip(names, shuffled))
        let planner = planner(seed)
        let plan = planner.plan(for: model, seed: 1)
        let other = planner.plan(for: model.renaming(renaming), seed: 1)
        // Names may only decide between two otherwise equal hosts.
        let kinds = model.kindsOfHosts
        func kind(_ host: HostName) -> Int? { kinds[host] }
        let oldNames = Dictionary(uniqueKeysWithValues: renaming.map { ($1, $0) })
        func otherKind(_ host: HostName) -> Int? { oldNames[host].flatMap(kind) }
        #expect(plan.moves.map(\.vm) == other.moves.map(\.vm), "seed \(seed)")
        #expect(plan.moves.map { kind($0.source) } == other.moves.map { otherKind($0.source) }, "seed \(seed)")
        #expect(plan.moves.map { kind($0.target) } == other.moves.map { otherKind($0.target) }, "seed \(seed)")
        #expect(
            together(planner.placement(after: plan, of: model))
                == together(planner.placement(after: other, of: model.renaming(renaming))),
            "seed \(seed)"
        )
    }

    /// The sets of VMs that share a host.
    private func together(_ placement: [VMID: HostName]) -> Set<Set<VMID>> {
        Set(Dictionary(grouping: placement.keys, by: { placement[$0] }).values.map(Set.init))
    }

    @Test func `the same seed gives the same plan`() {
        var fleet = RandomFleet(seed: 7)
        let model = fleet.model()
        #expect(planner(3).plan(for: model, seed: 5) == planner(3).plan(for: model, seed: 5))
    }

    @Test func `a balanced fleet is left alone`() {
        let hosts = (0..<6).map { number in
            Host(name: HostName("h\(number)"), capacity: Resources(cpuCores: 16, memoryBytes: 64 << 30), cpus: 16)
        }
        let vms = (0..<36).map { number in
            VirtualMachine(
                id: VMID("vm\(number)"),
                name: "vm\(number)",
                host: HostName("h\(number % 6)"),
                demand: Resources(cpuCores: 1, memoryBytes: 4 << 30),
                vcpus: 2
            )
        }
        for aggressiveness in 1...5 {
            let planner = Planner(planning: PlanningPolicy(aggressiveness: aggressiveness), improvement: 100_000)
            let plan = planner.plan(for: FleetModel(at: .second(0), hosts: hosts, vms: vms))
            #expect(plan.moves.isEmpty && plan.refusals.isEmpty && plan.shortage == nil)
        }
    }
}

extension FleetModel {
    /// Numbers the hosts; hosts that differ only in name get the same number.
    var kindsOfHosts: [HostName: Int] {
        let homes = Set(vms.map(\.host))
        let ruled = Set(rules.flatMap(\.hosts))
        var kinds: [Fleet.Host] = []
        var numbers: [HostName: Int] = [:]
        for host in hosts {
            var nameless = host
            if !homes.contains(host.name), !ruled.contains(host.name) { nameless.name = HostName("") }
            numbers[host.name] = kinds.firstIndex(of: nameless) ?? kinds.count
            if !kinds.contains(nameless) { kinds.append(nameless) }
        }
        return numbers
    }

    func placed(_ placement: [VMID: HostName]) -> FleetModel {
        var model = self
        for index in model.vms.indices {
            model.vms[index].host = placement[model.vms[index].id] ?? model.vms[index].host
        }
        return model
    }

    func renaming(_ names: [HostName: HostName]) -> FleetModel {
        func new(_ name: HostName) -> HostName { names[name] ?? name }
        var hosts = hosts
        for index in hosts.indices { hosts[index].name = new(hosts[index].name) }
        var vms = vms
        for index in vms.indices { vms[index].host = new(vms[index].host) }
        let rules = rules.map {
            PlacementRule(name: $0.name, kind: $0.kind, vms: $0.vms, hosts: $0.hosts.map(new))
        }
        return FleetModel(at: at, hosts: hosts, vms: vms, rules: rules)
    }
}
