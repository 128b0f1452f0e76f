// SPDX-License-Identifier: Apache-2.0
import Controller
import Coordination
import Fleet
import Ledger
import Settings

/// Why an order by hand was not given or did not move its VM.
enum ManualOrderError: Error, CustomStringConvertible {
    case unknownHost(HostName, known: [HostName])
    /// Source or target was removed from the cluster then.
    case removed(HostName, at: Instant)
    case unknownVM(String)
    case ambiguous(String, uuids: [VMID])
    /// More than one host says that it runs the VM, and no finished move tells which.
    case claimedTwice(String, by: [HostName])
    case alreadyThere(String, HostName)
    case notTakenUp(HostName)
    case sourceSilent(HostName, OrderID, stage: FleetView.Stage)
    case interrupted(OrderID)
    case gone(OrderID)
    case notMoved(String)
    /// With how the move ended otherwise.
    case leaked(ClosedChannels.Closure, String)

    var description: String {
        switch self {
        case .unknownHost(let host, let known):
            "no agent of a host '\(host)' writes to the ledger; "
                + (known.isEmpty
                    ? "none does yet: is evenkeel-agent running?"
                    : "known are: \(known.map(\.rawValue).joined(separator: ", "))")
        case .removed(let host, let at):
            "\(host) was removed from the cluster on \(at.readable): nothing moves to it or from it;"
                + " \(host.additionInWords)"
        case .unknownVM(let vm): "no host's latest sample shows an active VM '\(vm)'"
        case .ambiguous(let vm, let uuids):
            "several VMs are called '\(vm)': name one by its uuid: \(uuids.map(\.rawValue).joined(separator: ", "))"
        case .claimedTwice(let vm, let hosts):
            "\(hosts.map(\.rawValue).joined(separator: " and ")) both say that they run \(vm.plainText(limit: 80)), and no finished move"
                + " explains it: nothing is ordered; look there with 'virsh list' which of them does"
        case .alreadyThere(let vm, let host): "\(vm.plainText(limit: 80)) is on \(host) already"
        case .notTakenUp(let host): "the agent of \(host) did not take up the order: is evenkeel-agent running there?"
        case .sourceSilent(let host, let order, let stage):
            "nothing more is heard of order \(order) (\(stage)): the agent of \(host) is silent; once it is back it reports"
        case .interrupted(let order): "the move goes on; 'evenkeel cancel \(order)' ends it"
        case .gone(let order): "order \(order) is no longer in the ledger"
        case .notMoved(let reason): reason.plainText()
        case .leaked(let leak, let end):
            "\(end.plainText()); the evidence says LEAK, 'evenkeel verify \(leak.order)' shows the figures; \(leak.words)"
        }
    }
}

/// An order that a person gives, and what becomes of it.
enum ManualOrder {
    static func make(
        moving vm: String,
        to target: HostName,
        channel: Channel,
        policy: Policy,
        view: FleetView,
        removed: [HostName: Instant]
    ) throws(ManualOrderError) -> MigrationOrder {
        if let at = removed[target] { throw .removed(target, at: at) }
        guard view.hosts.contains(where: { $0.name == target }) else {
            throw .unknownHost(target, known: view.hosts.map(\.name))
        }
        let here = view.hosts.flatMap { host in
            (host.sample?.vms ?? []).filter { $0.state.isActive && ($0.name == vm || $0.id.rawValue == vm) }
                .map { (host: host.name, at: host.sample?.at ?? view.at, vm: $0) }
        }
        // A dead host's last sample shows it for ever: the newest counts.
        guard let newest = here.max(by: { $0.at < $1.at }) else { throw .unknownVM(vm) }
        guard here.allSatisfy({ $0.vm.id == newest.vm.id }) else {
            throw .ambiguous(vm, uuids: here.map(\.vm.id))
        }
        var (source, found) = (newest.host, newest.vm)
        let fresh = here.filter { view.at - $0.at <= policy.staleAfter }
        if fresh.count > 1 {
            // Just after a move both hosts' samples show the VM. Otherwise one of them may lie to have it.
            let arrivals = view.moves.filter { $0.stage == .done && $0.order.vm == found.id }
            guard let arrival = arrivals.max(by: { $0.changedAt < $1.changedAt })?.order,
                let there = fresh.first(where: { $0.host == arrival.target }),
                fresh.allSatisfy({ $0.host == arrival.target || $0.host == arrival.source })
            else { throw .claimedTwice(found.name, by: fresh.map(\.host).sorted()) }
            (source, found) = (there.host, there.vm)
        }
        if let at = removed[source] { throw .removed(source, at: at) }
        guard source != target else { throw .alreadyThere(found.name, target) }
        let now = Instant.byTheWallClock
        return MigrationOrder(
            id: OrderID("by-hand-\(ControllerService.newIdentifier())"),
            vm: found.id,
            vmName: found.name,
            source: source,
            target: target,
            channel: channel,
            technique: channel.technique,
            definition: found.definition,
            issuedAt: now,
            notBefore: now,
            expires: now + policy.orderLifetime,
            issuer: .operator,
            reason: "asked for by name"
        )
    }

    /// Follows an order to its end; `say` gets each new step in words.
    static func follow(
        _ order: MigrationOrder,
        in ledger: any FleetLedger,
        settings: Settings,
        say: (String) -> Void
    ) async throws -> FleetView.Move {
        var core = ControllerCore(policy: settings.policy)
        var feed = LedgerFeed(ledger: ledger)
        var last = ""
        while true {
            _ = try await feed.pull(into: &core)
            let now = Instant.byTheWallClock
            guard let move = FleetView(core, at: now).moves.first(where: { $0.order.id == order.id }) else {
                throw ManualOrderError.gone(order.id)
            }
            let line = describe(move)
            if line != last { say(line) }
            last = line
            if move.stage == .expired { throw ManualOrderError.notTakenUp(order.source) }
            if move.stage.hasEnded { return move }
            let heard = max(core.hosts[order.source]?.latest?.at ?? order.issuedAt, move.changedAt)
            if now - heard > settings.policy.staleAfter * 2 {
                throw ManualOrderError.sourceSilent(order.source, order.id, stage: move.stage)
            }
            try await Task.sleep(for: settings.ledger.pollInterval)
        }
    }

    /// Throws unless an order that has ended moved its VM, or if its evidence says that something leaked.
    static func check(_ move: FleetView.Move) throws(ManualOrderError) {
        let isDone = move.stage == .done
        let reason = move.failure?.text ?? "the order ended without a report"
        if move.evidence?.verdict == .leak {
            let order = move.order
            let path = Path(source: order.source, target: order.target)
            throw .leaked(
                ClosedChannels.Closure(order: order.id, path: path, channel: order.channel, at: move.changedAt),
                isDone ? summary(move) : reason
            )
        }
        guard isDone else { throw .notMoved(reason) }
    }

    static func describe(_ move: FleetView.Move) -> String {
        guard move.stage == .running, let progress = move.progress, progress.bytesTotal > 0 else {
            return move.stage.rawValue
        }
        return "running: \(progress.bytesTransferred >> 20) MiB sent, \(progress.bytesRemaining >> 20) MiB to go"
    }

    static func summary(_ move: FleetView.Move) -> String {
        var parts = ["\(move.order.vmName) runs on \(move.order.target)"]
        if let total = move.outcome?.totalSeconds { parts.append("total \(FleetView.seconds(total))") }
        if let down = move.outcome?.downtimeSeconds { parts.append("downtime \(FleetView.milliseconds(down))") }
        if let evidence = move.evidence { parts.append("path: \(evidence.verdict.rawValue)") }
        return parts.joined(separator: ", ").plainText()
    }
}
