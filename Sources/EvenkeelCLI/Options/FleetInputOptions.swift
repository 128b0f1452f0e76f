// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import FleetFiles
import Settings

/// The fleet to plan for: the running one, from the ledger, or one in a file.
struct FleetInputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Read the fleet from a snapshot file instead of the ledger (-: standard input)",
            valueName: "file"
        )
    )
    var snapshot: String?

    @Option(
        help: ArgumentHelp(
            "Read the fleet from a file in Ganeti's text format instead of the ledger",
            valueName: "file"
        )
    )
    var ganeti: String?

    @Option(help: ArgumentHelp("Utilisation file for --ganeti", valueName: "file"))
    var utilisation: String?

    @Option(
        help: ArgumentHelp("Plan as if this host were in maintenance: its VMs leave (repeatable)", valueName: "host")
    )
    var drain: [String] = []

    @Option(
        help: ArgumentHelp(
            "Share of a host's memory that a plan may fill; above 1: overcommit (default: policy.memory_limit)",
            valueName: "share"
        ),
        transform: { try parseShare($0, upTo: 10) }
    )
    var memoryLimit: Double?

    @OptionGroup var configuration: ConfigurationOptions

    func validate() throws {
        if snapshot != nil, ganeti != nil {
            throw ValidationError("--snapshot and --ganeti exclude each other.")
        }
        if utilisation != nil, ganeti == nil {
            throw ValidationError("--utilisation requires --ganeti.")
        }
        if snapshot != nil || ganeti != nil, configuration.ledger != nil {
            throw ValidationError("--ledger reads the running fleet: it excludes --snapshot and --ganeti.")
        }
    }
}

/// The options of the search for a plan.
struct PlanningOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Strategy: \(Strategy.allCases.map(\.rawValue).joined(separator: ", ")) (default: policy.strategy)",
            valueName: "name"
        ),
        transform: { name in
            guard let strategy = Strategy(rawValue: name) else {
                let known = Strategy.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("unknown strategy '\(name)'; choose one of \(known)")
            }
            return strategy
        }
    )
    var strategy: Strategy?

    @Option(
        help: ArgumentHelp(
            "Level from 1 (only rules and maintenance) to 5 (nearly every gain) (default: policy.aggressiveness)",
            valueName: "level"
        )
    )
    var aggressiveness: Int?

    @Option(help: ArgumentHelp("Maximum number of moves (default: policy.max_moves)", valueName: "count"))
    var maxMoves: Int?

    @Option(
        help: ArgumentHelp(
            "Time limit of the search, after which the best plan so far is used (default: 10s)",
            valueName: "time"
        ),
        transform: { try parseDuration($0, upTo: .seconds(86_400)) }
    )
    var timeBudget: Duration = .seconds(10)

    @Option(help: ArgumentHelp("Seed of the search; the same input and seed give the same plan", valueName: "number"))
    var seed: UInt64 = 0

    func validate() throws {
        if let aggressiveness, !(1...5).contains(aggressiveness) {
            throw ValidationError("--aggressiveness must be 1 to 5.")
        }
        if let maxMoves, maxMoves < 1 { throw ValidationError("--max-moves must be at least 1.") }
    }

    /// Returns the policy of the configuration with these options applied.
    func applied(to planning: PlanningPolicy) -> PlanningPolicy {
        var planning = planning
        if let strategy { planning.strategy = strategy }
        if let aggressiveness { planning.aggressiveness = aggressiveness }
        if let maxMoves { planning.maxMoves = maxMoves }
        return planning
    }
}
