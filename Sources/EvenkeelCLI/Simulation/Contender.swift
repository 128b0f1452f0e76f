// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Simulation

/// The policy of a simulated fleet: Evenkeel, or a baseline in its place.
struct Contender: Sendable {
    var name: String
    var summary: String
    /// `nil`: Evenkeel itself.
    var rival: (any Rival)?

    static let evenkeel = Contender(name: "evenkeel", summary: "this project's controller (production code)")

    /// Returns Evenkeel and the baselines of these names, each once; `all` names all of them.
    static func named(_ names: [String]) throws -> [Contender] {
        var chosen: [any Rival] = []
        for name in names {
            if name == "all" {
                chosen += Rivals.all
            } else if let rival = Rivals.named(name) {
                chosen.append(rival)
            } else {
                let known = (["all"] + Rivals.all.map(\.name)).joined(separator: ", ")
                throw ValidationError("unknown baseline '\(name)'; choose from \(known)")
            }
        }
        var seen: Set<String> = []
        let rivals = chosen.filter { seen.insert($0.name).inserted }
        return [evenkeel] + rivals.map { Contender(name: $0.name, summary: $0.summary, rival: $0) }
    }
}
