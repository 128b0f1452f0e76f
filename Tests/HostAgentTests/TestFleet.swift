// SPDX-License-Identifier: Apache-2.0
import HostOS
import Coordination
import Escort
import Fleet
import Hypervisor
import Ledger
import Logging
import Settings
import Synchronization
import TestSupport
import Testing

@testable import HostAgent

/// The agents of h1 and h2 in one process, with ledger and hypervisors in memory and without tunnels.
struct TestFleet: Sendable {
    let world: InMemoryWorld
    let ledger = InMemoryLedger(writer: .operator)
    let log = LogCapture()
    /// The rules that the agents loaded with nft.
    let rules = RuleCapture()
    let channels: [Channel]
    /// The result of a probe at another host's ports.
    let gates: @Sendable () -> GateProbe.Outcome
    /// The time until a host detects that its charon is missing.
    let charonTakes: Duration

    init(
        channels: [Channel] = [.ipsec],
        world: InMemoryWorld = .sample(),
        gates: @autoclosure @escaping @Sendable () -> GateProbe.Outcome = .shut,
        charonTakes: Duration = .zero
    ) {
        self.world = world
        self.channels = channels
        self.gates = gates
        self.charonTakes = charonTakes
    }

    /// Runs the agents while the body runs.
    func run(
        _ agents: [HostName] = [h1, h2],
        settings: @Sendable (HostName) -> Settings = { _ in .sample(allowPlain: true) },
        journal: (HostName) -> String? = { _ in nil },
        through wrap: (InMemoryLedger) -> any FleetLedger = { $0 },
        record: (HostName) -> String? = { _ in nil },
        closures: (HostName) -> String? = { _ in nil },
        handover: Duration = .seconds(60),
        definitions: (HostName) -> OwnDefinitions? = { _ in nil },
        body: () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            for host in agents {
                var service = AgentService(
                    settings: settings(host),
                    host: host.rawValue,
                    ledger: wrap(ledger.writing(as: .host(host))),
                    hypervisor: world.hypervisor(of: host),
                    channels: .withoutTunnels(host, channels, gates: gates(), charonTakes: charonTakes, rules: rules),
                    logger: log.logger(host.rawValue),
                    record: record(host),
                    journal: journal(host),
                    closures: closures(host),
                    definitions: definitions(host)
                )
                service.limits.jobLock = .zero
                service.limits.handover = handover
                group.addTask { [service] in await service.run() }
            }
            try await body()
        }
    }

    /// Waits until the host knows its peers and has detected that its charon is missing.
    func waitForGates(of host: HostName) async throws {
        try await eventually("\(host) has its gates") { log.contains("\(host) cannot configure the mesh") }
    }

    func submit(_ order: MigrationOrder) async throws {
        let issuer = ledger.writing(as: order.issuer == .controller ? .controller : .operator)
        try await issuer.append(OrderRecord.migrate(order: order))
    }

    func cancel(_ order: MigrationOrder) async throws {
        try await ledger.append(OrderRecord.cancel(id: order.id, at: .now, reason: "not now"))
    }

    /// Writes a report as a previous run of an agent.
    func write(_ step: OrderStep, of order: MigrationOrder, by host: HostName) async throws {
        let report = OrderReport(order: order.id, host: host, at: .now, step: step)
        try await ledger.writing(as: .host(host)).append(report)
    }

    /// Returns the order's steps in the ledger, in their order.
    func steps(of order: MigrationOrder) async throws -> [OrderStep] {
        try await ledger.read(OrderReport.self, from: nil).records.map(\.body).filter { $0.order == order.id }
            .map(\.step)
    }

    /// Waits for the step that ends the order, and returns it.
    func end(of order: MigrationOrder) async throws -> OrderStep {
        try await eventually("order \(order.id) has ended") {
            try await steps(of: order).contains { $0.isFinal }
        }
        return try #require(try await steps(of: order).last { $0.isFinal })
    }

    /// Waits for the order's failure and returns it.
    func failure(of order: MigrationOrder) async throws -> OrderFailure {
        let end = try await end(of: order)
        guard case .failed(let failure) = end else { throw Unexpected(description: "it did not fail: \(end)") }
        return failure
    }
}

struct Unexpected: Error, CustomStringConvertible {
    var description: String
}

/// Polls until the condition holds; throws after 20 s.
func eventually(_ claim: String, _ isSo: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while try await !isSo() {
        guard ContinuousClock.now < deadline else { throw Unexpected(description: "not within 20 s: \(claim)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

extension Channels {
    /// A host whose charon is down: gates can be set, and a probe of another host's gates returns `gates`.
    static func withoutTunnels(
        _ host: HostName,
        _ configured: [Channel] = [.ipsec],
        gates: @autoclosure @escaping @Sendable () -> GateProbe.Outcome = .shut,
        charonTakes: Duration = .zero,
        rules: RuleCapture = RuleCapture()
    ) -> Channels {
        let mesh = Mesh(
            local: host,
            credentials: NoCredentials(),
            placement: .alone(folder: "/nonexistent/eka"),
            runner: CommandRunner { _, _, _ in
                gates()
            } _: { command, input in
                if command.program == "swanctl", charonTakes > .zero { try await Task.sleep(for: charonTakes) }
                if command.program == "nft" { rules.add(input) }
                let isGate = ["nft", "ip"].contains(command.program)
                return CommandResult(exitCode: isGate ? 0 : 1, standardError: isGate ? "" : "not in this test")
            }
        )
        return Channels(mesh: mesh, tls: nil, configured: configured)
    }
}

private struct NoCredentials: Credentials {
    func authentication(local: HostName, peer: HostName) throws -> Authentication {
        throw Unexpected(description: "no keys in this test")
    }
}

extension OrderStep {
    var word: String {
        switch self {
        case .accepted: "accepted"
        case .prepared: "prepared"
        case .running: "running"
        case .sealed: "sealed"
        case .opened: "opened"
        case .released: "released"
        case .restored: "restored"
        case .declined: "declined"
        case .withdrawn: "withdrawn"
        case .asked: "asked"
        case .answered: "answered"
        case .done: "done"
        case .failed: "failed"
        case .notUnderstood: "not understood"
        }
    }
}

/// The rules that agents loaded with nft.
final class RuleCapture: Sendable {
    private let inputs = Mutex<[String]>([])

    func add(_ input: String) { inputs.withLock { $0.append(input) } }

    func contains(_ words: String) -> Bool { inputs.withLock { $0.contains { $0.contains(words) } } }
}
