// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings
import Commands
import Controller
import Coordination
import Fleet
import Ledger

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Order the move of one VM to a host, and follow it.",
        discussion: """
            The order goes through the ledger; the agents of the two hosts check it and carry it out. Ctrl-C stops \
            following, not the move; 'evenkeel cancel ORDER' ends the move.
            """
    )

    @Argument(help: "The VM's name or uuid.")
    var vm: String

    @Argument(help: "The host that is to run it.")
    var target: String

    @Option(
        help: """
            The path: ipsec, or plain for benchmarks: in the clear, and only where both hosts allow it \
            (escort.allow_plain).
            """,
        transform: { name in
            guard let channel = Channel(rawValue: name) else {
                throw ValidationError("no channel is called '\(name)'; there are ipsec and plain")
            }
            return channel
        }
    )
    var channel = Channel.ipsec

    @Flag(name: .long, help: "Return once the order is written.")
    var noWait = false

    @Flag(help: "Print the move as JSON when it has ended.")
    var json = false

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let settings = try options.settings()
        let ledger = options.openLedger(settings, as: .operator)
        let view = try await FleetView.read(ledger, settings: settings)
        let order = try makeOrder(view, lifetime: settings.policy.orderLifetime)
        try await ledger.append(OrderRecord.migrate(order: order))
        if !json || noWait { print("order \(order.id): move \(order.vmName) from \(order.source) to \(order.target)") }
        if noWait { return }
        let quiet = json
        let poll = settings.ledger.pollInterval
        let policy = settings.policy
        let final = try await cancellingOnShutdownSignals {
            try await Self.follow(order, in: ledger, policy: policy, every: poll, quiet: quiet)
        }
        if json { print(try evenkeel.json(final)) }
        guard final.stage == "done" else {
            throw MoveFailed(description: final.failure?.reason ?? "the order ended without a report")
        }
        if !quiet { print(Self.summary(final)) }
    }

    private func makeOrder(_ view: FleetView, lifetime: Duration) throws -> MigrationOrder {
        let target = HostName(target)
        guard view.hosts.contains(where: { $0.name == target }) else {
            let known = view.hosts.map(\.name.rawValue).joined(separator: ", ")
            throw ValidationError("No agent of a host '\(target)' writes to the ledger. Known: \(known).")
        }
        let here = view.hosts.flatMap { host in
            (host.sample?.vms ?? []).filter { $0.state.isActive && ($0.name == vm || $0.id.rawValue == vm) }
                .map { (host.name, $0) }
        }
        guard let (source, found) = here.first else {
            throw ValidationError("No host's latest sample shows an active VM '\(vm)'.")
        }
        guard here.count == 1 else {
            let hosts = here.map(\.0.rawValue).joined(separator: ", ")
            throw ValidationError("'\(vm)' is active on several hosts (\(hosts)): name it by its uuid, or look there.")
        }
        guard source != target else { throw ValidationError("\(found.name) is on \(target) already.") }
        let now = Instant.byTheWallClock
        return MigrationOrder(
            id: OrderID(
                "by-hand-\(String(now.milliseconds, radix: 36))\(String(UInt16.random(in: .min ... .max), radix: 36))"
            ),
            vm: found.id,
            vmName: found.name,
            source: source,
            target: target,
            channel: channel,
            issuedAt: now,
            expires: now + lifetime,
            issuer: .operator,
            reason: "asked for by name"
        )
    }

    /// Follows an order to its end, printing each step.
    private static func follow(
        _ order: MigrationOrder,
        in ledger: any FleetLedger,
        policy: Policy,
        every interval: Duration,
        quiet: Bool
    ) async throws -> FleetView.Move {
        var core = ControllerCore(policy: policy)
        var feed = LedgerFeed(ledger: ledger)
        var last = ""
        while true {
            _ = try await feed.pull(into: &core)
            let now = Instant.byTheWallClock
            guard let move = FleetView(core, at: now).moves.first(where: { $0.order.id == order.id }) else {
                throw MoveFailed(description: "order \(order.id) is no longer in the ledger")
            }
            let line = describe(move)
            if line != last, !quiet { print(line) }
            last = line
            if move.stage == "done" || move.stage == "failed" { return move }
            if move.stage == "submitted", now > order.expires + .seconds(5) {
                throw MoveFailed(
                    description:
                        "the agent of \(order.source) did not take up the order: is evenkeel-agent running there?"
                )
            }
            try await Task.sleep(for: interval)
        }
    }

    private static func describe(_ move: FleetView.Move) -> String {
        guard move.stage == "running", let progress = move.progress, progress.bytesTotal > 0 else { return move.stage }
        let sent = progress.bytesTransferred >> 20
        return "running: \(sent) MiB sent, \(progress.bytesRemaining >> 20) MiB to go"
    }

    private static func summary(_ move: FleetView.Move) -> String {
        var parts = ["\(move.order.vmName) runs on \(move.order.target)"]
        if let total = move.outcome?.totalSeconds { parts.append("total \(FleetView.seconds(total))") }
        if let down = move.outcome?.downtimeSeconds { parts.append("downtime \(Int((down * 1000).rounded())) ms") }
        if let evidence = move.evidence { parts.append("path \(evidence.verdict.rawValue)") }
        return parts.joined(separator: ", ")
    }
}

/// A move that did not happen; its description is the reason.
struct MoveFailed: Error, CustomStringConvertible {
    var description: String
}

struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "End an order before its time: the VM stays at, or goes on running on, its source."
    )

    @Argument(help: "The order, as 'evenkeel status' shows it.")
    var order: String

    @Option(help: "Why, for the record.")
    var reason = "asked for by hand"

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let settings = try options.settings()
        let ledger = options.openLedger(settings, as: .operator)
        let view = try await FleetView.read(ledger, settings: settings)
        guard let move = view.moves.first(where: { $0.order.id.rawValue == order }) else {
            throw ValidationError("The ledger has no order '\(order)'.")
        }
        guard move.stage != "done", move.stage != "failed" else {
            throw ValidationError("Order '\(order)' has ended (\(move.stage)).")
        }
        try await ledger.append(OrderRecord.cancel(id: OrderID(order), at: .byTheWallClock, reason: reason))
        print("order \(order) is to be cancelled; 'evenkeel status' shows when it has ended")
    }
}
