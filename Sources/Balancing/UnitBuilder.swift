// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Builds the units and tables of a placement space from VMs and rules.
struct UnitBuilder {
    let model: FleetModel
    let planning: PlanningPolicy
    let hostNumbers: [HostName: Int]
    private(set) var units: [PlacementSpace.Unit] = []
    private(set) var unitOfVM: [Int] = []
    private(set) var classes: [PlacementClass] = []
    private var numbers: [PlacementClass: Int] = [:]
    private let moving: Set<VMID>

    init(model: FleetModel, planning: PlanningPolicy, hostNumbers: [HostName: Int]) {
        self.model = model
        self.planning = planning
        self.hostNumbers = hostNumbers
        moving = Set(model.movesInFlight.map(\.vm))
    }

    /// The rules of one VM.
    private struct Rules {
        var apart: [Int] = []
        var only: Set<Int>?
        var never: Set<Int> = []
        var preferred: Set<Int>?
    }

    mutating func build() {
        let vmNumbers = Dictionary(
            model.vms.enumerated().map { ($1.id, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        let homes = model.vms.map { hostNumbers[$0.host] ?? 0 }
        var rules = [Rules](repeating: Rules(), count: model.vms.count)
        var together: [[Int]] = []
        for (number, rule) in model.rules.enumerated() {
            let members = rule.vms.compactMap { vmNumbers[$0] }
            let hosts = Set(rule.hosts.compactMap { hostNumbers[$0] })
            switch rule.kind {
            case .together: together.append(members)
            case .apart: for vm in members { rules[vm].apart.append(number) }
            case .onlyOn:
                for vm in members { rules[vm].only = rules[vm].only.map { $0.intersection(hosts) } ?? hosts }
            case .neverOn: for vm in members { rules[vm].never.formUnion(hosts) }
            case .preferably:
                for vm in members { rules[vm].preferred = (rules[vm].preferred ?? []).union(hosts) }
            }
        }
        let groups = Self.joined(together, count: model.vms.count)
        unitOfVM = [Int](repeating: -1, count: model.vms.count)
        for vm in model.vms.indices where unitOfVM[vm] < 0 {
            guard let group = groups[vm], group.count > 1 else {
                add([vm], home: homes[vm], rules: rules[vm])
                continue
            }
            if group.allSatisfy({ homes[$0] == homes[vm] }) {
                add(group, home: homes[vm], rules: Self.merged(group.map { rules[$0] }))
            } else {
                gather(group, homes: homes, rules: rules)
            }
        }
    }

    /// Returns the group of each VM; groups with a common member are merged.
    private static func joined(_ lists: [[Int]], count: Int) -> [Int: [Int]] {
        var root: [Int: Int] = [:]
        func find(_ vm: Int) -> Int {
            var vm = vm
            while let up = root[vm], up != vm { vm = up }
            return vm
        }
        for list in lists {
            guard let first = list.first else { continue }
            for vm in list {
                let (a, b) = (find(first), find(vm))
                root[max(a, b)] = min(a, b)
                root[min(a, b)] = min(a, b)
            }
        }
        var members: [Int: [Int]] = [:]
        for vm in root.keys.sorted() { members[find(vm), default: []].append(vm) }
        var groups: [Int: [Int]] = [:]
        for group in members.values { for vm in group { groups[vm] = group } }
        return groups
    }

    private static func merged(_ rules: [Rules]) -> Rules {
        var all = Rules()
        for rule in rules {
            all.apart += rule.apart
            if let only = rule.only { all.only = all.only.map { $0.intersection(only) } ?? only }
            all.never.formUnion(rule.never)
            if let preferred = rule.preferred { all.preferred = (all.preferred ?? []).union(preferred) }
        }
        return all
    }

    /// Gathers a scattered group on the host that has most of its memory; the VMs of other hosts move one by one.
    ///
    /// If some of them cannot move, the others gather around these.
    private mutating func gather(_ group: [Int], homes: [Int], rules: [Rules]) {
        var memory: [Int: UInt64] = [:]
        let immovable = group.filter { if case .cannotMove = model.vms[$0].staysBecause { true } else { false } }
        for vm in immovable.isEmpty ? group : immovable {
            memory[homes[vm], default: 0] += model.vms[vm].demand.memoryBytes
        }
        let anchor = memory.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? homes[group[0]]
        for vm in group {
            var rule = rules[vm]
            rule.only = rule.only?.intersection([anchor]) ?? [anchor]
            add([vm], home: homes[vm], rules: rule)
            if homes[vm] == anchor {
                units[units.count - 1].staysBecause =
                    units[units.count - 1].staysBecause ?? .awaitsCompanions
            }
        }
    }

    private mutating func add(_ members: [Int], home: Int, rules: Rules) {
        let vms = members.map { model.vms[$0] }
        var demand = Vector()
        for vm in vms { demand += Vector(vm) }
        var avoids: [Int: Obstacle] = [:]
        for vm in vms {
            for (host, reason) in vm.avoids { if let number = hostNumbers[host] { avoids[number] = reason } }
        }
        let host = model.hosts[home]
        let placementClass = classNumber(
            PlacementClass(
                storages: vms.reduce(into: []) { $0.formUnion($1.storages) },
                networks: vms.reduce(into: []) { $0.formUnion($1.networks) },
                group: host.group,
                home: host.hypervisor.map(PlacementClass.Hypervisor.init),
                only: rules.only,
                never: rules.never
            )
        )
        let breaksRule = rules.only.map { !$0.contains(home) } ?? false || rules.never.contains(home)
        for vm in members { unitOfVM[vm] = units.count }
        units.append(
            PlacementSpace.Unit(
                members: members,
                home: home,
                demand: demand,
                memoryBytes: demand[Lane.memory],
                seconds: vms.reduce(0) {
                    $0 + MigrationCost.seconds($1, bandwidth: planning.bandwidth) + MigrationCost.overhead
                },
                placementClass: placementClass,
                apart: rules.apart,
                staysBecause: vms.compactMap { reasonToStay($0, on: host) }.first,
                avoids: avoids,
                preferredHosts: rules.preferred,
                mustLeave: vms.contains { $0.state.isActive }
                    && (breaksRule || host.mode == .maintenance || host.mode == .failed)
            )
        )
    }

    private func reasonToStay(_ vm: VirtualMachine, on host: Host) -> StayReason? {
        if let reason = vm.staysBecause { return reason }
        switch host.mode {
        case .settling, .stale, .distrusted, .blocked, .failed: return .hostMode(host.name, host.mode)
        case .active, .maintenance: break
        }
        if moving.contains(vm.id) { return .alreadyMoving }
        switch vm.state {
        case .running: return nil
        case .paused: return .paused
        case .migrating: return .migrating
        case .shutOff, .crashed, .suspended: return .notRunning(vm.state)
        }
    }

    private mutating func classNumber(_ key: PlacementClass) -> Int {
        if let known = numbers[key] { return known }
        classes.append(key)
        numbers[key] = classes.count - 1
        return classes.count - 1
    }
}
