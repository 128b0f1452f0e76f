// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import FoundationEssentials

/// The steps of docs/troubleshooting.md after an outcome that needs an operator.
extension FaultBench {
    /// Leaves one copy of the VM, which runs, and ends an order that stays in doubt; returns how often it started the
    /// VM.
    mutating func actAsOperator(
        _ trial: FaultTrial,
        _ observation: FaultObservation,
        _ result: inout FaultResult
    ) async throws -> Int {
        let name = trial.guest.name
        let running = observation.hosts(with: \.running, name)
        let defined = observation.hosts(with: \.defined, name)
        guard let home = running.first ?? defined.first else {
            throw LabError.move(guest: name, reason: "no host has it, nothing can be started")
        }
        log("as an operator: start \(name) on \(home)")
        for host in lab.hosts {
            let isHome = host.name == home
            if observation.hosts(with: \.active, name).contains(host.name), !(isHome && running.contains(home)) {
                try await host.virsh(["destroy", name])
            }
            if !isHome, defined.contains(host.name) { try await host.virsh(["undefine", name]) }
        }
        let host = try lab.host(home)
        try await host.virsh(["autostart", name])
        if !running.contains(home) { try await host.virsh(["start", name], timeLimit: .seconds(60)) }
        if observation.end?.isUndecided == true { try await settleDoubt(of: trial.order, on: home, &result) }
        return running.contains(home) ? 0 : 1
    }

    /// Waits until the agents find what the operator has decided, and otherwise states it.
    private mutating func settleDoubt(
        of order: OrderID,
        on home: HostName,
        _ result: inout FaultResult
    ) async throws {
        let found = try await poll(every: .seconds(2), within: .seconds(90)) { () -> Bool? in
            try await readReports()
            return end(of: order)?.isUndecided == false ? true : nil
        }
        guard found == nil else { return log("the agents have found \(home)") }
        log("as an operator: evenkeel end \(order) --on \(home)")
        // Its agent runs, and has given up its search.
        let stated = try await evenkeel(["end", order.rawValue, "--on", home.rawValue, "--even-if-source-is-alive"])
        guard stated.succeeded else {
            result.violations.append("the order in doubt could not be ended: \(stated.standardError)")
            return
        }
        let status = try await evenkeel(["status", "--json"])
        let stage = FleetStatus.stage(of: order, in: status.standardOutput)
        if stage != .decided { result.violations.append("the order is in doubt after its end was stated: \(stage)") }
    }

    private func evenkeel(_ arguments: [String]) async throws -> CommandResult {
        try await Command(
            programs.evenkeel,
            arguments + ["--config", lab.configurationFile],
            timeLimit: .seconds(60)
        ).result()
    }
}

extension FaultObservation.End {
    /// Whether it is a doubt in which the place of the VM is unknown.
    var isUndecided: Bool { if case .failed(.inDoubt, _, nil, _) = self { true } else { false } }
}

/// The part of `evenkeel status --json` that the lab needs.
struct FleetStatus: Decodable {
    var moves: [Move]

    struct Move: Decodable {
        var order: Order
        var stage: String
        var failure: Failure?

        struct Order: Decodable { var id: String }
        struct Failure: Decodable { var whereabouts: String? }
    }

    enum Stage: Sendable, Equatable { case missing, open, undecided, decided }

    /// Returns whether an order has ended with a known place of its VM.
    static func stage(of order: OrderID, in json: String) -> Stage {
        let status = try? JSONDecoder().decode(FleetStatus.self, from: Data(json.utf8))
        guard let move = status?.moves.last(where: { $0.order.id == order.rawValue }) else { return .missing }
        guard ["done", "failed"].contains(move.stage) else { return .open }
        return move.failure?.whereabouts == "unknown" ? .undecided : .decided
    }
}
