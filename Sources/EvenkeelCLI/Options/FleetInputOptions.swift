// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import FleetFiles

/// Which fleet is looked at: the running one, as the ledger tells it, or one in a file.
struct FleetInputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Read the fleet from a snapshot file (-: standard input) instead of the ledger.",
            valueName: "file"
        )
    )
    var snapshot: String?

    @Option(help: ArgumentHelp("Read the fleet from a cluster in the text format of Ganeti.", valueName: "file"))
    var ganeti: String?

    @Option(help: ArgumentHelp("The utilisation file that goes with --ganeti.", valueName: "file"))
    var utilisation: String?

    @Option(help: ArgumentHelp("Treat a host as in maintenance: its VMs leave. May be repeated.", valueName: "host"))
    var drain: [String] = []

    @Option(
        help: ArgumentHelp(
            "No host's memory may be used above this share; above 1: overcommitted.",
            valueName: "share"
        ),
        transform: Quantity.share
    )
    var memoryLimit: Double?

    @OptionGroup var configuration: ConfigurationOptions

    func validate() throws {
        if snapshot != nil, ganeti != nil {
            throw ValidationError("--snapshot and --ganeti name two fleets: give one of them.")
        }
        if utilisation != nil, ganeti == nil {
            throw ValidationError("--utilisation goes with --ganeti.")
        }
        if snapshot != nil || ganeti != nil, configuration.ledger != nil {
            throw ValidationError("--ledger names the running fleet, --snapshot and --ganeti one in a file: give one.")
        }
    }
}

/// How the plan is searched for.
struct PlanningOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How: \(Strategy.allCases.map(\.rawValue).joined(separator: ", ")) (default: policy.strategy).",
            valueName: "name"
        ),
        transform: { name in
            guard let strategy = Strategy(rawValue: name) else {
                let known = Strategy.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("no strategy is called '\(name)'; there are \(known)")
            }
            return strategy
        }
    )
    var strategy: Strategy?

    @Option(
        help: ArgumentHelp(
            "1 (only what must be) to 5 (everything that helps) (default: policy.aggressiveness).",
            valueName: "level"
        )
    )
    var aggressiveness: Int?

    @Option(help: ArgumentHelp("At most so many moves (default: policy.max_moves).", valueName: "count"))
    var maxMoves: Int?

    @Option(
        help: ArgumentHelp("When it is over, the best plan so far is given (default: 10s).", valueName: "time"),
        transform: Quantity.duration
    )
    var timeBudget: Duration = .seconds(10)

    @Option(help: ArgumentHelp("The same input and seed give the same plan.", valueName: "number"))
    var seed: UInt64 = 0

    func validate() throws {
        if let aggressiveness, !(1...5).contains(aggressiveness) {
            throw ValidationError("--aggressiveness must be 1 to 5.")
        }
        if let maxMoves, maxMoves < 1 { throw ValidationError("--max-moves must be at least 1.") }
    }

    /// These options over what the configuration says.
    func applied(to planning: PlanningPolicy) -> PlanningPolicy {
        var planning = planning
        if let strategy { planning.strategy = strategy }
        if let aggressiveness { planning.aggressiveness = aggressiveness }
        if let maxMoves { planning.maxMoves = maxMoves }
        return planning
    }
}
