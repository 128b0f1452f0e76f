// SPDX-License-Identifier: Apache-2.0
internal import HostOS
import Balancing
import Controller
package import Coordination
package import Fleet
package import Ledger
package import Settings

/// The reasons why a manual order was not written or did not move its VM.
package enum ManualOrderError: Error, CustomStringConvertible {
    case unknownHost(HostName, known: [HostName])
    /// Source or target was removed from the cluster at this time.
    case removed(HostName, at: Instant)
    case unknownVM(String)
    case ambiguous(String, uuids: [VMID])
    /// More than one host reports that it runs the VM, and the records do not decide which one has it.
    case claimedTwice(String, by: [HostName])
    case alreadyThere(String, HostName)
    /// A live move was requested, and the VM is off.
    case isOff(String, HostName)
    /// An offline move was requested, and the VM is active.
    case isActive(String, HostName)
    /// More than one host defines a VM that is off, and no finished move explains it.
    case definedTwice(String, by: [HostName])
    case noOfflineChannel(Channel)
    /// Its host's agent would refuse the order.
    case cannotMove(String, from: HostName, CannotMove)
    /// Source or target cannot record its steps of orders on its disk.
    case takesNoOrders(HostName, reason: String)
    case notTakenUp(HostName)
    case sourceSilent(HostName, OrderID, stage: FleetView.Stage)
    case interrupted(OrderID)
    case gone(OrderID)
    case notMoved(String)
    /// Also carries the outcome of the move.
    case leaked(ClosedChannels.Closure, String)

    package var description: String {
        switch self {
        case .unknownHost(let host, let known):
            "host '\(host)' has not reported; "
                + (known.isEmpty
                    ? "no host has: is evenkeel-agent running?"
                    : "known hosts are \(known.map(\.rawValue).joined(separator: ", "))")
        case .removed(let host, let at):
            "\(host) was removed from the cluster on \(at.readable): no VM can move to or from it;"
                + " \(host.additionHint)"
        case .unknownVM(let vm): "no host reports an active VM '\(vm)'; 'evenkeel status' lists the VMs"
        case .ambiguous(let vm, let uuids):
            "several VMs have the name '\(vm)'; give the UUID: \(uuids.map(\.rawValue).joined(separator: ", "))"
        case .claimedTwice(let vm, let hosts):
            "\(vm.plainText(limit: 80)): \(hosts.map(\.rawValue).joined(separator: " and ")) both report that they run it, and the"
                + " records do not decide which one has it. Nothing was ordered. Run 'virsh list' on these hosts to see which one does."
        case .alreadyThere(let vm, let host): "\(vm.plainText(limit: 80)) is already on \(host)"
        case .isOff(let vm, let host):
            "\(vm.plainText(limit: 80)) is off on \(host); to move its definition, add --offline"
        case .isActive(let vm, let host):
            "\(vm.plainText(limit: 80)) is active on \(host); move it live, without --offline"
        case .definedTwice(let vm, let hosts):
            "\(vm.plainText(limit: 80)) is off on \(hosts.map(\.rawValue).joined(separator: " and ")), and no finished move"
                + " explains it. Nothing was ordered. Remove the definition that you do not keep, with"
                + " 'virsh undefine --keep-nvram --keep-tpm'."
        case .noOfflineChannel(let channel):
            "\(channel.rawValue) carries no VM that is off; omit --channel or choose another"
        case .cannotMove(let vm, let host, let reasons):
            "\(vm.plainText(limit: 80)) cannot move away from \(host): \(reasons.text.plainText()). Nothing was ordered. After a"
                + " change, the agent checks the VM again within a minute."
        case .takesNoOrders(let host, let reason):
            "\(host) takes no orders until its local disk can be written: \(reason.plainText()). Nothing was ordered. Free space on "
                + "\(host), or repair its disk."
        case .notTakenUp(let host):
            "the agent of \(host) did not accept the order in time; is evenkeel-agent running there?"
        case .sourceSilent(let host, let order, let stage):
            "order \(order) (\(stage)): the agent of \(host) has stopped reporting; it reports the outcome once it runs again"
        case .interrupted(let order):
            "no longer following; the move continues. To cancel it, run 'evenkeel cancel \(order)'."
        case .gone(let order): "order \(order) is no longer in the ledger"
        case .notMoved(let reason): reason.plainText()
        case .leaked(let leak, let end):
            "\(end.plainText()); LEAK: 'evenkeel verify \(leak.order)' shows the evidence; \(leak.text)"
        }
    }
}

/// Makes a manual order and follows it to its end.
package enum ManualOrder {
    package static func make(
        moving vm: String,
        to target: HostName,
        channel: Channel,
        isOffline: Bool = false,
        policy: Policy,
        view: FleetView,
        removed: [HostName: Instant]
    ) throws(ManualOrderError) -> MigrationOrder {
        guard !isOffline || channel.carries(.offline) else { throw .noOfflineChannel(channel) }
        if let at = removed[target] { throw .removed(target, at: at) }
        guard view.hosts.contains(where: { $0.name == target }) else {
            throw .unknownHost(target, known: view.hosts.map(\.name))
        }
        let known = view.hosts.flatMap { host in
            (host.sample?.vms ?? []).filter { $0.name == vm || $0.id.rawValue == vm }
                .map { (host: host.name, at: host.sample?.at ?? view.at, vm: $0) }
        }
        let here = known.filter { $0.vm.state.isActive != isOffline }
        let other = known.filter { $0.vm.state.isActive == isOffline && view.at - $0.at <= policy.staleAfter }.first
        // A VM that runs elsewhere must not get a second definition.
        if isOffline, let other { throw .isActive(other.vm.name, other.host) }
        // Use the newest sample: the last sample of a dead host shows the VM forever.
        guard let newest = here.max(by: { $0.at < $1.at }) else {
            if let other { throw .isOff(other.vm.name, other.host) }
            throw .unknownVM(vm)
        }
        guard here.allSatisfy({ $0.vm.id == newest.vm.id }) else {
            throw .ambiguous(vm, uuids: here.map(\.vm.id))
        }
        var (source, found) = (newest.host, newest.vm)
        let fresh = here.filter { view.at - $0.at <= policy.staleAfter }
        if fresh.count > 1 {
            // Just after a move, both hosts' samples show the VM. Otherwise one of them may be lying.
            let arrivals = view.moves.filter { $0.stage == .done && $0.order.vm == found.id }
            let arrival = arrivals.max { $0.changedAt < $1.changedAt }?.order
            let isExplained = fresh.allSatisfy { $0.host == arrival?.target || $0.host == arrival?.source }
            // Which of two definitions is kept is for an operator to decide.
            let byRecords = isOffline ? nil : view.custody.holder(of: found.id, among: fresh.map(\.host))
            let holder = isExplained ? arrival?.target : byRecords
            guard let there = fresh.first(where: { $0.host == holder }) else {
                let hosts = fresh.map(\.host).sorted()
                throw isOffline ? .definedTwice(found.name, by: hosts) : .claimedTwice(found.name, by: hosts)
            }
            (source, found) = (there.host, there.vm)
        }
        if let at = removed[source] { throw .removed(source, at: at) }
        guard source != target else { throw .alreadyThere(found.name, target) }
        // An old sample is no reason to refuse: the agent decides.
        if let reasons = found.cannotMove, fresh.contains(where: { $0.host == source }) {
            throw .cannotMove(found.name, from: source, reasons)
        }
        for host in view.hosts where host.name == source || host.name == target {
            guard let sample = host.sample, view.at - sample.at <= policy.staleAfter else { continue }
            if let reason = sample.takesNoOrdersBecause { throw .takesNoOrders(host.name, reason: reason) }
        }
        let now = Instant.now
        return MigrationOrder(
            id: OrderID("manual-\(ControllerService.newIdentifier())"),
            vm: found.id,
            vmName: found.name,
            source: source,
            target: target,
            channel: channel,
            technique: isOffline ? .offline : channel.technique,
            definition: found.definition,
            issuedAt: now,
            notBefore: now,
            expires: now + policy.orderLifetime,
            issuer: .operator,
            reason: "requested by an operator"
        )
    }

    /// Follows an order to its end; `say` receives the description of each new step.
    package static func follow(
        _ order: MigrationOrder,
        in ledger: any FleetLedger,
        settings: Settings,
        say: (String) -> Void
    ) async throws -> FleetView.Move {
        var core = ControllerCore(policy: settings.policy)
        var follower = LedgerFollower(ledger, .present(settings.policy, thinned: true, at: .now))
        var last = ""
        while true {
            try await follower.pull(into: &core)
            let now = Instant.now
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

    /// Throws unless an order that has ended moved its VM without a leak.
    package static func check(_ move: FleetView.Move) throws(ManualOrderError) {
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

    package static func describe(_ move: FleetView.Move) -> String {
        guard move.stage == .running, let progress = move.progress, progress.bytesTotal > 0 else {
            return move.waiting.map { "\(move.stage.rawValue): \($0)" } ?? move.stage.rawValue
        }
        return "running: \(progress.bytesTransferred >> 20) MiB sent, \(progress.bytesRemaining >> 20) MiB remaining"
    }

    package static func summary(_ move: FleetView.Move) -> String {
        let order = move.order
        let duration = move.outcome?.totalSeconds.map { " in \(Units.seconds($0))" } ?? ""
        let details = [
            move.outcome?.downtimeSeconds.map { "downtime \(Units.milliseconds($0))" },
            move.evidence.map { "evidence: \($0.verdict.rawValue)" },
            order.isOffline ? "offline: no guest memory was sent" : nil,
        ].compactMap(\.self)
        let text = "\(order.vmName): moved \(order.source) → \(order.target)\(duration)"
        return (details.isEmpty ? text : "\(text) (\(details.joined(separator: ", ")))").plainText()
    }
}
