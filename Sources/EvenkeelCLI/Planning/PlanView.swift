// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// A plan with its context, as text and as JSON; docs/plan-commands.md describes the keys.
struct PlanView: Encodable {
    struct HostChange: Encodable {
        var name: HostName
        var mode: HostMode
        var verdict: Judgement.Verdict?
        /// The reason's code.
        var code: String?
        var reason: String?
        var before: HostLoad
        var after: HostLoad

        /// The change of its CPU or memory share, whichever is larger.
        var change: Double { max(abs(after.cpu - before.cpu), abs(after.memory - before.memory)) }
        var load: Double { max(after.cpu, after.memory) }
    }

    /// The VMs that are off on a host to be emptied: they stay there.
    struct InactiveVMs: Encodable {
        var host: HostName
        var vms: [InactiveVM]
    }

    struct Wave: Encodable {
        var wave: Int
        var moves: Int
        var memoryBytes: UInt64
        /// The duration of the wave's longest move.
        var seconds: Double
    }

    struct Totals: Encodable {
        var moves: Int
        var waves: Int
        var memoryBytes: UInt64
        var seconds: Double
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
    var moves: [PlannedMove]
    var hosts: [HostChange]
    var refusals: [Refusal]
    var shortage: Shortage?
    var warnings: [String]
    /// Hosts that have VMs before the plan, and none after it.
    var emptied: [HostName]
    /// By host; only hosts in maintenance or that the plan empties.
    var inactive: [InactiveVMs]
    /// Whether `maxMoves` limited the plan.
    var isLimited: Bool
    /// Assumed bandwidth of a migration until it has been measured.
    var bandwidth: String
    /// The reason why there is no move; `nil` if there is one.
    var emptyBecause: NoMoveReason?
    var emptyCode: String?

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
        moves = plan.moves
        waves = Self.waves(of: plan)
        totals = Totals(
            moves: plan.moves.count,
            waves: plan.waves,
            memoryBytes: plan.memoryBytes,
            seconds: waves.reduce(0) { $0 + $1.seconds }
        )
        hosts = Self.hosts(of: plan, model: input.model, planner: planner)
        refusals = plan.refusals
        shortage = plan.shortage
        warnings = input.warnings
        emptied = hosts.filter { $0.before.vms > 0 && $0.after.vms == 0 }.map(\.name)
        inactive = Self.inactive(
            in: input,
            besides: plan,
            on: hosts.filter { $0.mode == .maintenance }.map(\.name) + emptied
        )
        isLimited = planner.planning.maxMoves.map { plan.moves.count >= $0 } ?? false
        let megabits = planner.planning.bandwidth * 8 / 1e6
        bandwidth = megabits >= 1000 ? "\(Units.number(megabits / 1000)) Gbit/s" : "\(Units.number(megabits)) Mbit/s"
        emptyBecause = plan.moves.isEmpty ? NoMoveReason(plan, input.model, planner.planning) : nil
        emptyCode = emptyBecause?.code
    }

    private static func inactive(in input: FleetInput, besides plan: Plan, on hosts: [HostName]) -> [InactiveVMs] {
        let moved = Set(plan.moves.map(\.vm))
        return Set(hosts).sorted().compactMap { host in
            // Only a model from a file has VMs that are off.
            let vms =
                input.snapshot?.inactiveVMs(on: host)
                ?? input.model.vms.filter { $0.host == host && !$0.state.isActive && !moved.contains($0.id) }
                .map { InactiveVM(id: $0.id, name: $0.name, state: $0.state) }
            return vms.isEmpty ? nil : InactiveVMs(host: host, vms: vms)
        }
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
        return model.hosts.indices.map { number in
            let host = model.hosts[number]
            let judgement = judgements[host.name]
            return HostChange(
                name: host.name,
                mode: host.mode,
                verdict: judgement?.verdict,
                code: judgement?.reason.code,
                reason: judgement?.reason.description,
                before: before[number],
                after: after[number]
            )
        }
    }
}

extension NoMoveReason: Encodable {
    /// Encodes the description; `emptyCode` has the code.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
