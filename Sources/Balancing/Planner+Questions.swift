// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The load of a host, in shares of its capacity.
public struct HostLoad: Codable, Sendable, Equatable {
    public var vms: Int
    public var cpu: Double
    public var memory: Double
    /// `nil`: the capacity is not known.
    public var network: Double?
    public var disk: Double?
    public var vcpusPerCPU: Double
}

/// A host for a new VM, or why it cannot take the VM.
public struct HostChoice: Sendable, Equatable {
    public var host: HostName
    /// Why it cannot take the VM; `nil`: it can.
    public var obstacle: Obstacle?
    /// Whether it would exceed its thresholds with the VM.
    public var isOverloaded = false
    /// The fleet's imbalance with the VM there.
    public var imbalance: Double?
    /// The host's shares with the VM there.
    public var cpu: Double?
    public var memory: Double?
}

extension HostChoice: Encodable {
    private enum CodingKeys: String, CodingKey { case host, code, obstacle, isOverloaded, imbalance, cpu, memory }

    /// Encodes the obstacle as its stable code and as text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(host, forKey: .host)
        try container.encodeIfPresent(obstacle?.code, forKey: .code)
        try container.encodeIfPresent(obstacle?.description, forKey: .obstacle)
        try container.encode(isOverloaded, forKey: .isOverloaded)
        try container.encodeIfPresent(imbalance, forKey: .imbalance)
        try container.encodeIfPresent(cpu, forKey: .cpu)
        try container.encodeIfPresent(memory, forKey: .memory)
    }
}

extension Planner {
    /// Returns the host of each VM after the plan has been carried out.
    public func placement(after plan: Plan, of model: FleetModel) -> [VMID: HostName] {
        var placement = Dictionary(model.vms.map { ($0.id, $0.host) }, uniquingKeysWith: { first, _ in first })
        for move in plan.moves { placement[move.vm] = move.target }
        return placement
    }

    /// Returns each host's load with the VMs where `placement` has them, in the order of the model's hosts.
    public func hostLoads(of model: FleetModel, placing placement: [VMID: HostName]) -> [HostLoad] {
        var placed = model
        for index in placed.vms.indices {
            if let host = placement[placed.vms[index].id] { placed.vms[index].host = host }
        }
        let state = Placement(PlacementSpace(placed, policy: policy, planning: planning))
        return placed.hosts.indices.map { number in
            let host = placed.hosts[number]
            let share = state.share(of: number)
            return HostLoad(
                vms: state.unitsOn[number].reduce(0) { $0 + state.space.units[$1].members.count },
                cpu: share[Lane.cpu],
                memory: share[Lane.memory],
                network: host.capacity.networkBytesPerSecond > 0 ? share[Lane.network] : nil,
                disk: host.capacity.diskBytesPerSecond > 0 ? share[Lane.disk] : nil,
                vcpusPerCPU: share[Lane.vcpus]
            )
        }
    }

    /// Returns every host for a new VM: the best first, those that cannot take it last.
    ///
    /// The VM's own `host` does not count.
    public func bestHosts(for vm: VirtualMachine, in model: FleetModel) -> [HostChoice] {
        let state = Placement(PlacementSpace(model, policy: policy, planning: planning))
        let space = state.space
        let objective = Objective(space)
        let demand = Vector(vm)
        let spread = state.spread
        var ranked: [(cost: Double, choice: HostChoice)] = []
        for number in model.hosts.indices {
            let host = model.hosts[number]
            let key = PlacementClass(
                storages: vm.storages,
                networks: vm.networks,
                group: host.group,
                home: nil,
                only: nil,
                never: []
            )
            var obstacle = key.obstacle(on: host, number: number)
            let used = state.used[number] + demand
            if obstacle == nil, used[Lane.memory] > space.limit[number][Lane.memory] {
                let free = max(0, space.limit[number][Lane.memory] - state.used[number][Lane.memory])
                obstacle = .memory(freeBytes: UInt64(free), neededBytes: vm.demand.memoryBytes, isMost: false)
            }
            if obstacle == nil, used[Lane.vcpus] > space.limit[number][Lane.vcpus] {
                obstacle = .vcpus(Int(used[Lane.vcpus]), cpus: host.cpus)
            }
            guard obstacle == nil else {
                ranked.append((.infinity, HostChoice(host: host.name, obstacle: obstacle)))
                continue
            }
            let share = used * space.inverse[number]
            let cost = objective.energy(share) - objective.energy(state.share(of: number))
            let choice = HostChoice(
                host: host.name,
                isOverloaded: any(share .> objective.upper),
                imbalance: (space.weights * spread.deviation(replacing: state.share(of: number), with: share)).sum(),
                cpu: share[Lane.cpu],
                memory: share[Lane.memory]
            )
            ranked.append((cost, choice))
        }
        return ranked.sorted { ($0.cost, $0.choice.host) < ($1.cost, $1.choice.host) }.map(\.choice)
    }

    /// Returns a VM's demand, its moves or why it stays, and its rules; empty if the model does not have it.
    public func explain(vm id: VMID, in model: FleetModel, plan: Plan) -> [Explanation] {
        guard let number = model.vms.firstIndex(where: { $0.id == id }) else { return [] }
        let vm = model.vms[number]
        var explanations: [Explanation] = [
            .needs(
                vm: vm.name,
                on: vm.host,
                cores: vm.demand.cpuCores,
                peakCores: vm.peakCores,
                memoryBytes: vm.demand.memoryBytes
            )
        ]
        let moves = plan.moves.filter { $0.vm == id }
        explanations += moves.map { .moves(to: $0.target, wave: $0.wave, $0.purpose, $0.reason) }
        let after = placed(model, after: plan)
        let unit = after.space.unitOfVM[number]
        if moves.isEmpty {
            let obstacles = Obstacles(unit, in: after, objective: Objective(after.space))
            explanations.append(.stays(obstacles.reason, isAfterMoves: !plan.moves.isEmpty))
        }
        let broken = after.brokenRules(of: unit).map(\.name)
        for rule in model.rules where rule.vms.contains(id) {
            let host = after.space.model.hosts[after.hostOf[unit]].name
            let isMet = !broken.contains(rule.name) && (rule.kind != .preferably || rule.hosts.contains(host))
            explanations.append(.rule(rule.name, rule.kind, isMet: isMet))
        }
        return explanations
    }

    /// Returns a host's state, the moves from and to it, and why other VMs stay; empty if the model does not have it.
    public func explain(host name: HostName, in model: FleetModel, plan: Plan) -> [Explanation] {
        guard let host = model.hosts.first(where: { $0.name == name }) else { return [] }
        var explanations: [Explanation] = []
        switch host.mode {
        case .maintenance:
            let count = model.vms.count { $0.host == name && $0.state.isActive }
            explanations.append(.maintenance(name, vms: count))
        case .failed: explanations.append(.failed(name))
        case .active, .settling, .stale, .distrusted, .blocked: break
        }
        explanations += plan.judgements.filter { $0.host == name }.map { .judged($0) }
        for move in plan.moves where move.source == name {
            explanations.append(.leaves(vm: move.vmName, to: move.target, move.reason))
        }
        for move in plan.moves where move.target == name {
            explanations.append(.comes(vm: move.vmName, from: move.source, move.reason))
        }
        explanations += refusals(of: name, in: model, plan: plan).map { .notRelieved(vm: $0.vmName, $0.reason) }
        if explanations.count == 1, host.mode == .active { explanations.append(.nothingGains) }
        return explanations
    }

    /// Returns why the host's VMs stay, in full even if the plan has only one refusal for the whole host.
    private func refusals(of name: HostName, in model: FleetModel, plan: Plan) -> [Refusal] {
        let told = plan.refusals.filter { $0.host == name }
        guard !told.isEmpty, told.allSatisfy({ $0.vm == nil }) else { return told }
        let after = placed(model, after: plan)
        guard let host = after.space.hostNumbers[name] else { return told }
        return Refusal.all(of: host, in: after, Objective(after.space))
    }

    /// Returns the placement after the plan has been carried out.
    private func placed(_ model: FleetModel, after plan: Plan) -> Placement {
        Placement(PlacementSpace(model, policy: policy, planning: planning), after: plan)
    }
}
