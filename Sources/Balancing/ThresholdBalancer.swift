// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The paper's rule, made steady: from each overloaded host to the freest light one, the VM whose move helps most for
/// the least memory.
///
/// Pure and deterministic: the same snapshot and policy give the same plan. Source: Tamrakar, IJERT 3(12), 2014, with
/// lasting overload, prediction, cooldown, no return and limits added.
public struct ThresholdBalancer: Sendable {
    public var policy: Policy

    public init(policy: Policy) { self.policy = policy }

    /// The plan for a snapshot.
    public func plan(for snapshot: FleetSnapshot) -> Plan {
        let judgements = snapshot.hosts.map { $0.judgement(in: snapshot, policy: policy) }
        var planning = Planning(snapshot: snapshot, judgements: judgements, policy: policy)
        for host in planning.overloadedHostsHeaviestFirst() { planning.relieve(host) }
        return Plan(
            snapshotRevision: snapshot.revision,
            at: snapshot.at,
            strategy: .threshold,
            moves: planning.moves,
            judgements: judgements,
            refusals: planning.refusals,
            before: FleetScore(),
            after: FleetScore()
        )
    }
}

/// A plan in the making: the fleet's load as it will be once the moves chosen so far are done.
private struct Planning {
    let snapshot: FleetSnapshot
    let policy: Policy
    let verdicts: [HostName: Judgement.Verdict]
    let twice: [RunningTwice]
    var loads: [HostName: PredictedLoad] = [:]
    var moves: [PlannedMove] = []
    var refusals: [Refusal] = []

    init(snapshot: FleetSnapshot, judgements: [Judgement], policy: Policy) {
        self.snapshot = snapshot
        self.policy = policy
        twice = snapshot.runningTwice(policy: policy)
        verdicts = Dictionary(judgements.map { ($0.host, $0.verdict) }, uniquingKeysWith: { first, _ in first })
        for host in snapshot.hosts {
            guard verdicts[host.name] != .unknown, let latest = host.latest else { continue }
            loads[host.name] = PredictedLoad(latest)
        }
        for move in snapshot.movesInFlight { book(move) }
    }

    /// Counts a move as done in the predicted loads.
    private mutating func book(_ move: Move) {
        let vm = snapshot.hosts.first { $0.name == move.source }?.latest?.vms?.first { $0.id == move.vm }
        guard let vm else { return }
        loads[move.source]?.remove(vm)
        loads[move.target]?.add(vm)
    }

    func overloadedHostsHeaviestFirst() -> [HostHistory] {
        snapshot.hosts
            .filter { verdicts[$0.name] == .overloaded }
            .sorted { (loads[$0.name]?.heaviest ?? 0, $1.name) > (loads[$1.name]?.heaviest ?? 0, $0.name) }
    }

    mutating func relieve(_ host: HostHistory) {
        guard let latest = host.latest, let vms = latest.vms else { return }
        var candidates = vms.filter { vm in
            guard let reason = reasonToStay(vm, on: host.name) else { return true }
            refusals.append(Refusal(host: host.name, vm: vm.id, vmName: vm.name, reason: reason))
            return false
        }
        if candidates.isEmpty, !vms.contains(where: { $0.state == .running }) {
            refusals.append(Refusal(host: host.name, reason: "no VM runs here: the load is not of VMs"))
        }
        while let load = loads[host.name], let excess = load.excess(over: policy), !candidates.isEmpty {
            if let limit = limitReached(for: host.name) {
                refusals.append(Refusal(host: host.name, reason: limit))
                return
            }
            let best = candidates.indices.max { left, right in
                excess.isHelpedLess(by: candidates[left], than: candidates[right])
            }
            guard let best else { return }
            let vm = candidates.remove(at: best)
            guard excess.relief(by: vm) >= Excess.leastRelief else {
                refusals.append(
                    Refusal(
                        host: host.name,
                        vm: vm.id,
                        vmName: vm.name,
                        reason: "it uses too little of what \(host.name) lacks: moving it would not help"
                    )
                )
                continue
            }
            choose(vm, from: host.name, excess: excess)
        }
    }

    private mutating func choose(_ vm: VMSample, from source: HostName, excess: Excess) {
        var obstacles: [String] = []
        for target in targetsFreestFirst(for: vm, from: source) {
            if let obstacle = obstacle(for: vm, from: source, to: target) {
                obstacles.append("\(target): \(obstacle)")
                continue
            }
            order(vm, from: source, to: target, excess: excess)
            return
        }
        let reason = obstacles.isEmpty ? "no host is light enough to take it" : obstacles.joined(separator: "; ")
        refusals.append(Refusal(host: source, vm: vm.id, vmName: vm.name, reason: reason))
    }

    private mutating func order(_ vm: VMSample, from source: HostName, to target: HostName, excess: Excess) {
        guard let sourceBefore = loads[source], let targetBefore = loads[target] else { return }
        loads[source]?.remove(vm)
        loads[target]?.add(vm)
        let prediction = Prediction(
            sourceBefore: sourceBefore.cpuShare,
            sourceAfter: loads[source]?.cpuShare ?? 0,
            targetBefore: targetBefore.cpuShare,
            targetAfter: loads[target]?.cpuShare ?? 0
        )
        let reason =
            "\(source) is overloaded (\(excess.words)); \(vm.name) uses \(cores(vm.cpuCores ?? 0)) and "
            + "\(mebibytes(vm.memoryBytes ?? 0)), the most relief for the least memory; \(target) has the most room: "
            + "\(percent(targetBefore.cpuShare)) CPU now, \(percent(prediction.targetAfter)) with it"
        moves.append(
            PlannedMove(
                vm: vm.id,
                vmName: vm.name,
                source: source,
                target: target,
                reason: reason,
                prediction: prediction,
                memoryBytes: vm.memoryBytes ?? 0,
                seconds: 0
            )
        )
    }

    /// Hosts to which a move of this VM failed lately come last: another may take it.
    private func targetsFreestFirst(for vm: VMSample, from source: HostName) -> [HostName] {
        let failed = Set(
            snapshot.pastMoves
                .filter { !$0.succeeded && $0.move.vm == vm.id && snapshot.at - $0.endedAt < policy.noReturn }
                .map(\.move.target)
        )
        func rank(_ host: HostName) -> (Int, Double, HostName) {
            (failed.contains(host) ? 1 : 0, loads[host]?.heaviest ?? 2, host)
        }
        return snapshot.hosts.map(\.name).filter { $0 != source }.sorted { rank($0) < rank($1) }
    }

    /// Why a VM may not leave its host now; `nil` when it may.
    private func reasonToStay(_ vm: VMSample, on host: HostName) -> String? {
        guard vm.state == .running else { return "it is not running (\(vm.state.rawValue))" }
        guard vm.cpuCores != nil else { return "its CPU use is not known yet" }
        guard vm.memoryBytes != nil else { return "its memory is not known" }
        if let twice = twice.first(where: { $0.vm == vm.id }) { return twice.words }
        let last = snapshot.pastMoves.filter { $0.move.vm == vm.id }.map(\.endedAt).max()
        if let last, snapshot.at - last < policy.cooldown {
            return
                "its last move ended \(seconds(snapshot.at - last)) ago; it stays put for \(seconds(policy.cooldown))"
        }
        return nil
    }

    private func limitReached(for host: HostName) -> String? {
        let inFlight = snapshot.movesInFlight + moves.map { Move(vm: $0.vm, source: $0.source, target: $0.target) }
        if inFlight.count >= policy.movesInAll {
            return "\(inFlight.count) moves at once in all are allowed (policy.moves_in_all)"
        }
        let here = inFlight.count { $0.source == host || $0.target == host }
        guard here < policy.movesPerHost else {
            return "\(here) moves at once are allowed for \(host) (policy.moves_per_host)"
        }
        return nil
    }

    /// Why a host cannot take a VM; `nil` when it can.
    private func obstacle(for vm: VMSample, from source: HostName, to target: HostName) -> String? {
        guard let verdict = verdicts[target], verdict != .unknown, let load = loads[target] else {
            return "no fresh figures"
        }
        guard verdict != .overloaded else { return "overloaded itself" }
        if let limit = limitReached(for: target) { return limit }
        let path = Path(source: source, target: target)
        guard !snapshot.closedPaths.contains(path) else { return "a move leaked on the way there: the path is closed" }
        // Each move's evidence is what passed the tunnel meanwhile; two at once would vouch for each other.
        let under = snapshot.movesInFlight.map(\.path) + moves.map { Path(source: $0.source, target: $0.target) }
        guard !under.contains(path) else { return "one move at a time goes through the tunnel to it" }
        for (share, resource) in [(load.cpuShare, Resource.cpu), (load.memoryShare, .memory)] {
            let lower = resource.thresholds(in: policy).lower
            if share > lower {
                return "\(resource.rawValue) at \(percent(share)), it takes VMs up to \(percent(lower))"
            }
        }
        if let left = snapshot.pastMoves.last(where: {
            $0.succeeded && $0.move.vm == vm.id && $0.move.source == target
                && snapshot.at - $0.endedAt < policy.noReturn
        }) {
            return "the VM left it \(seconds(snapshot.at - left.endedAt)) ago and does not return within "
                + seconds(policy.noReturn)
        }
        return load.obstacle(for: vm, policy: policy)
    }
}
