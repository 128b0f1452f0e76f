// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import FleetFiles
import Foundation

/// One fleet, planned once, in its own process so that the peak memory is its own.
struct Case {
    enum Source {
        case generated(hosts: Int, vms: Int, seed: UInt64)
        case files(data: String, utilisation: String)
    }
    let source: Source
    let aggressiveness: Int
    /// The folder for hbal's input files; `nil`: none are written.
    let folder: String?

    struct Result: Codable {
        var hosts: Int
        var vms: Int
        var seconds: Double
        var peakMebibytes: Int
        var moves: Int
        var gibibytes: Double
        var before: FleetScore
        var after: FleetScore
        /// Time in seconds of the second plan, after the first was applied and one load in a hundred changed.
        var replanSeconds: Double?
        var replanMoves: Int?
    }

    func run() throws -> Result {
        var generator: FleetGenerator?
        let model: FleetModel
        let write: ([VMID: HostName]) throws -> Void
        switch source {
        case .generated(let hosts, let vms, let seed):
            var made = FleetGenerator(seed: seed)
            model = made.model(hosts: hosts, vms: vms)
            generator = made
            write = { placement in
                guard let folder else { return }
                let text = GanetiText(model)
                let cluster = try GanetiCluster(text: text.data, name: "generated")
                try text.data.write(toFile: folder + "/before.data", atomically: true, encoding: .utf8)
                try text.utilisation.write(toFile: folder + "/load.ndynu", atomically: true, encoding: .utf8)
                try cluster.text(placing: placement)
                    .write(toFile: folder + "/after.data", atomically: true, encoding: .utf8)
            }
        case .files(let data, let utilisation):
            let text = try String(contentsOfFile: data, encoding: .utf8)
            let load = try String(contentsOfFile: utilisation, encoding: .utf8)
            let cluster = try GanetiCluster(text: text, name: data, utilisation: load, utilisationName: utilisation)
            model = cluster.model
            write = { placement in
                guard let folder else { return }
                try text.write(toFile: folder + "/before.data", atomically: true, encoding: .utf8)
                try load.write(toFile: folder + "/load.ndynu", atomically: true, encoding: .utf8)
                try cluster.text(placing: placement)
                    .write(toFile: folder + "/after.data", atomically: true, encoding: .utf8)
            }
        }
        let planner = Planner(planning: PlanningPolicy(aggressiveness: aggressiveness))
        let clock = ContinuousClock()
        let start = clock.now
        let plan = planner.plan(for: model)
        let seconds = Self.seconds(clock.now - start)
        let placement = planner.placement(after: plan, of: model)
        var result = Result(
            hosts: model.hosts.count,
            vms: model.vms.count,
            seconds: seconds,
            peakMebibytes: 0,
            moves: plan.moves.count,
            gibibytes: Double(plan.memoryBytes) / Double(1 << 30),
            before: plan.before,
            after: plan.after
        )
        if var generator {
            var next = model
            for index in next.vms.indices {
                next.vms[index].host = placement[next.vms[index].id] ?? next.vms[index].host
            }
            next = generator.changed(next)
            let start = clock.now
            let again = planner.plan(for: next)
            result.replanSeconds = Self.seconds(clock.now - start)
            result.replanMoves = again.moves.count
        }
        result.peakMebibytes = Self.peakMebibytes()
        try write(placement)
        return result
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    /// Returns the peak resident set size of the process in MiB (VmHWM).
    private static func peakMebibytes() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first).flatMap { Int($0) }.map { $0 / 1024 }
            ?? 0
    }
}
