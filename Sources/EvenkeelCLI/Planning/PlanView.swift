// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// A plan with all that belongs to it, for people and, encoded, for machines; docs/planning.md describes the keys.
struct PlanView: Encodable {
    struct HostChange: Encodable {
        var name: HostName
        var mode: HostMode
        var verdict: Judgement.Verdict?
        var reason: String?
        var before: Load
        var after: Load

        /// How much of its CPU or memory is used more or less, whichever is more.
        var change: Double { max(abs(after.cpu - before.cpu), abs(after.memory - before.memory)) }
        var load: Double { max(after.cpu, after.memory) }
    }

    /// Shares of the host's capacity; `nil` where the capacity is not known.
    struct Load: Encodable {
        var vms: Int
        var cpu: Double
        var memory: Double
        var network: Double?
        var disk: Double?
        var vcpusPerCPU: Double
    }

    struct Move: Encodable {
        var vm: VMID
        var vmName: String
        var source: HostName
        var target: HostName
        var wave: Int
        var purpose: PlannedMove.Purpose
        var reason: String
        var memoryBytes: UInt64
        var seconds: Double
        var prediction: Prediction
    }

    struct Wave: Encodable {
        var wave: Int
        var moves: Int
        var memoryBytes: UInt64
        /// As long as its longest move.
        var seconds: Double
    }

    struct Totals: Encodable {
        var moves: Int
        var waves: Int
        var memoryBytes: UInt64
        var seconds: Double
    }

    struct NotMoved: Encodable {
        var host: HostName
        var vm: VMID?
        var vmName: String?
        var reason: String
    }

    struct Lack: Encodable {
        var hosts: Int
        var hostCores: Double
        var hostMemoryBytes: UInt64
        var reason: String
    }

    var input: String
    var at: Instant
    var snapshotRevision: UInt64
    var strategy: Strategy
    var aggressiveness: Int
    var seed: UInt64
    var wasCutShort: Bool
    var before: FleetScore
    var after: FleetScore
    var totals: Totals
    var waves: [Wave]
    var moves: [Move]
    var hosts: [HostChange]
    var refusals: [NotMoved]
    var shortage: Lack?
    var warnings: [String]
    /// Hosts that have VMs before, and none after.
    var emptied: [HostName]
    /// Whether `maxMoves` left nothing over.
    var isLimited: Bool
    /// Assumed bandwidth of a migration where none has been measured.
    var bandwidth: String
    /// Why there is no move; `nil`: there is one.
    var emptyBecause: String?

    init(_ plan: Plan, of input: FleetInput, planner: Planner, seed: UInt64) {
        self.input = input.name
        at = plan.at
        snapshotRevision = plan.snapshotRevision
        strategy = plan.strategy
        aggressiveness = planner.planning.aggressiveness
        self.seed = seed
        wasCutShort = plan.wasCutShort
        before = plan.before
        after = plan.after
        moves = plan.moves.map(Move.init)
        waves = Self.waves(of: plan)
        totals = Totals(
            moves: plan.moves.count,
            waves: plan.waves,
            memoryBytes: plan.memoryBytes,
            seconds: waves.reduce(0) { $0 + $1.seconds }
        )
        hosts = Self.hosts(of: plan, model: input.model, planner: planner)
        refusals = plan.refusals.map { NotMoved(host: $0.host, vm: $0.vm, vmName: $0.vmName, reason: $0.reason) }
        shortage = plan.shortage.map {
            Lack(hosts: $0.hosts, hostCores: $0.hostCores, hostMemoryBytes: $0.hostMemoryBytes, reason: $0.reason)
        }
        warnings = input.warnings
        emptied = hosts.filter { $0.before.vms > 0 && $0.after.vms == 0 }.map(\.name)
        isLimited = planner.planning.maxMoves.map { plan.moves.count >= $0 } ?? false
        let megabits = planner.planning.bandwidth * 8 / 1e6
        bandwidth = megabits >= 1000 ? "\(Self.number(megabits / 1000)) Gbit/s" : "\(Self.number(megabits)) Mbit/s"
        emptyBecause = plan.moves.isEmpty ? Self.whyEmpty(plan, input.model, planner.planning) : nil
    }

    private static func waves(of plan: Plan) -> [Wave] {
        var waves = (0..<plan.waves).map { Wave(wave: $0, moves: 0, memoryBytes: 0, seconds: 0) }
        for move in plan.moves where waves.indices.contains(move.wave) {
            waves[move.wave].moves += 1
            waves[move.wave].memoryBytes += move.memoryBytes
            waves[move.wave].seconds = max(waves[move.wave].seconds, move.seconds)
        }
        return waves
    }

    private static func hosts(of plan: Plan, model: FleetModel, planner: Planner) -> [HostChange] {
        let judgements = Dictionary(plan.judgements.map { ($0.host, $0) }) { first, _ in first }
        let before = planner.hostLoads(of: model, placing: [:])
        let after = planner.hostLoads(of: model, placing: planner.placement(after: plan, of: model))
        return zip(before, after).map { old, new in
            HostChange(
                name: old.name,
                mode: old.mode,
                verdict: judgements[old.name]?.verdict,
                reason: judgements[old.name]?.reason,
                before: Load(old),
                after: Load(new)
            )
        }
    }

    private static func whyEmpty(_ plan: Plan, _ model: FleetModel, _ planning: PlanningPolicy) -> String {
        let active = model.hosts.count { $0.mode == .active }
        if model.vms.isEmpty { return "there are no VMs" }
        if active == 0 { return "no host is active" }
        if active == 1, model.hosts.count == 1 { return "there is only one host" }
        if plan.wasCutShort {
            return "the search reached its time budget before it found a move; increase --time-budget"
        }
        if plan.before.violations > 0 || plan.before.contendedHosts > 0 {
            let isHandsOff = planning.strategy == .balance && planning.aggressiveness == 1
            if isHandsOff, plan.before.violations == 0 { return "aggressiveness 1 does not resolve overload" }
            let lacks = "strategy \(planning.strategy.rawValue) finds no move that helps"
            return plan.refusals.isEmpty ? lacks : "\(lacks); the reasons are listed below"
        }
        let known: [Judgement.Verdict] = [.settling, .unknown, .distrusted]
        if plan.judgements.contains(where: { known.contains($0.verdict) }) {
            return "no host is known to be overloaded; some hosts have no usable samples yet"
        }
        switch planning.strategy {
        case .threshold, .push, .pull, .pushPull: return "no host is overloaded"
        case .consolidate: return "no host can be emptied within the thresholds"
        case .balance:
            let more = planning.aggressiveness < 5 ? " at aggressiveness \(planning.aggressiveness)" : ""
            return "no host is overloaded, and no move is worth its cost\(more)"
        }
    }
}

extension PlanView.Load {
    init(_ load: HostLoad) {
        vms = load.vms
        cpu = load.cpu
        memory = load.memory
        network = load.network
        disk = load.disk
        vcpusPerCPU = load.vcpusPerCPU
    }
}

extension PlanView.Move {
    init(_ move: PlannedMove) {
        vm = move.vm
        vmName = move.vmName
        source = move.source
        target = move.target
        wave = move.wave
        purpose = move.purpose
        reason = move.reason
        memoryBytes = move.memoryBytes
        seconds = move.seconds
        prediction = move.prediction
    }
}
