// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Executes a plan in its own model and returns the violations; independent of the planner.
struct PlanCheck {
    let model: FleetModel
    let policy: Policy
    let planning: PlanningPolicy
    private(set) var faults: [String] = []
    private(set) var hostOf: [VMID: HostName]
    private let vms: [VMID: VirtualMachine]
    private let hosts: [HostName: Fleet.Host]

    init(_ plan: Plan, of model: FleetModel, policy: Policy, planning: PlanningPolicy) {
        self.model = model
        self.policy = policy
        self.planning = planning
        hostOf = Dictionary(uniqueKeysWithValues: model.vms.map { ($0.id, $0.host) })
        vms = Dictionary(uniqueKeysWithValues: model.vms.map { ($0.id, $0) })
        hosts = Dictionary(uniqueKeysWithValues: model.hosts.map { ($0.name, $0) })
        for wave in 0..<plan.waves { carryOut(plan.moves.filter { $0.wave == wave }, wave: wave) }
    }

    private mutating func fault(_ text: String) { faults.append(text) }

    private mutating func carryOut(_ moves: [PlannedMove], wave: Int) {
        if moves.isEmpty { fault("wave \(wave) is empty") }
        if moves.count > policy.movesInAll { fault("wave \(wave) has \(moves.count) moves at once") }
        if Set(moves.map(\.vm)).count < moves.count { fault("wave \(wave) moves a VM twice") }
        for host in model.hosts {
            let count = moves.count { $0.source == host.name || $0.target == host.name }
            if count > policy.movesPerHost { fault("\(host.name) takes part in \(count) moves at once") }
        }
        if Set(moves.map { "\($0.source)>\($0.target)" }).count < moves.count {
            fault("wave \(wave): a path used twice")
        }
        for move in moves { check(move) }
        // During a wave, every moving VM counts on both hosts.
        var presence: [HostName: Set<VMID>] = [:]
        for (vm, host) in hostOf { presence[host, default: []].insert(vm) }
        let before = presence
        for move in moves { presence[move.target, default: []].insert(move.vm) }
        for (host, present) in presence { checkRoom(on: host, present, before: before[host] ?? []) }
        for move in moves { hostOf[move.vm] = move.target }
    }

    private mutating func check(_ move: PlannedMove) {
        guard let vm = vms[move.vm], let target = hosts[move.target], let source = hosts[move.source] else {
            fault("\(move.vm) moves where nothing is")
            return
        }
        if hostOf[move.vm] != move.source || move.source == move.target { fault("\(vm.name) is not on \(move.source)") }
        if vm.staysBecause != nil || vm.state != .running { fault("\(vm.name) must not move") }
        if target.mode != .active { fault("\(vm.name) goes to \(target.name), which is \(target.mode)") }
        if source.mode == .stale || source.mode == .failed { fault("\(vm.name) leaves \(source.name)") }
        if let its = target.networks, !vm.networks.isSubset(of: its) { fault("\(vm.name) lacks a network") }
        if let from = source.hypervisor, let to = target.hypervisor, to.version < from.version {
            fault("\(vm.name) goes to an older hypervisor")
        }
        if vm.avoids[move.target] != nil { fault("\(vm.name) avoids \(move.target)") }
        for rule in model.rules where rule.vms.contains(move.vm) {
            if rule.kind == .onlyOn, !rule.hosts.contains(move.target) { fault("\(vm.name) breaks \(rule.name)") }
            if rule.kind == .neverOn, rule.hosts.contains(move.target) { fault("\(vm.name) breaks \(rule.name)") }
        }
    }

    private mutating func checkRoom(on host: HostName, _ present: Set<VMID>, before: Set<VMID>) {
        guard let its = hosts[host], present != before else { return }
        let memory = present.reduce(its.own.memoryBytes) { $0 + (vms[$1]?.demand.memoryBytes ?? 0) }
        if Double(memory) > Double(its.capacity.memoryBytes) * planning.memoryLimit {
            fault("\(host) would need \(memory >> 30) GiB of \(its.capacity.memoryBytes >> 30)")
        }
        let vcpus = present.reduce(0) { $0 + (vms[$1]?.vcpus ?? 0) }
        if let ratio = planning.vcpusPerCPU, Double(vcpus) > ratio * Double(its.cpus) {
            fault("\(host) would have \(vcpus) VCPUs on \(its.cpus) CPUs")
        }
        for rule in model.rules where rule.kind == .apart {
            let members = Set(rule.vms)
            let (now, then) = (present.intersection(members).count, before.intersection(members).count)
            if now > 1, now > then { fault("\(rule.name) is broken on \(host)") }
        }
    }

    /// Rules that held at the start must hold at the end.
    mutating func checkEnd() {
        for rule in model.rules where rule.kind == .together {
            let before = Set(rule.vms.compactMap { vms[$0]?.host })
            let after = Set(rule.vms.compactMap { hostOf[$0] })
            if after.count > before.count { fault("\(rule.name) is scattered") }
        }
    }
}
