// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Simulation

/// The policy of a simulated fleet: Evenkeel, or a baseline in its place.
struct Contender: Sendable {
    var name: String
    var summary: String
    /// `nil`: Evenkeel itself.
    var baseline: (any Baseline)?

    static let evenkeel = Contender(name: "evenkeel", summary: "this project's controller (production code)")

    /// Returns Evenkeel and the baselines of these names, each once; `all` names all of them.
    static func named(_ names: [String]) throws -> [Contender] {
        var chosen: [any Baseline] = []
        for name in names {
            if name == "all" {
                chosen += Baselines.all
            } else if let baseline = Baselines.named(name) {
                chosen.append(baseline)
            } else {
                let known = (["all"] + Baselines.all.map(\.name)).joined(separator: ", ")
                throw ValidationError("unknown baseline '\(name)'; choose from \(known)")
            }
        }
        var seen: Set<String> = []
        let baselines = chosen.filter { seen.insert($0.name).inserted }
        return [evenkeel] + baselines.map { Contender(name: $0.name, summary: $0.summary, baseline: $0) }
    }
}
