// SPDX-License-Identifier: Apache-2.0
internal import Coordination
package import Fleet

/// Ends an order in place of its source, after checks against what the hosts report.
package enum OrderEnding {
    package enum Refusal: Error, Equatable, CustomStringConvertible {
        case unknownOrder(String)
        case hasEnded(OrderID, FleetView.Stage)
        /// The host is neither source nor target.
        case otherHost(HostName, OrderID, source: HostName, target: HostName)
        case sourceAlive(HostName, OrderID, secondsAgo: Double)
        case notThere(HostName, vm: String, secondsAgo: Double)
        /// It is there, but its migration has not started it.
        case incomplete(HostName, vm: String, secondsAgo: Double)
        /// The target runs the VM that is said to be on the source.
        case runsAtTarget(HostName, vm: String, OrderID)

        package var description: String {
            switch self {
            case .unknownOrder(let order):
                "the ledger has no order '\(order.plainText(limit: 80))'; 'evenkeel status' lists the orders"
            case .hasEnded(let order, let stage): "order \(order) has already ended (\(stage.rawValue))"
            case .otherHost(let host, let order, let source, let target):
                "order \(order) moves its VM from \(source) to \(target); '\(host.rawValue.plainText(limit: 80))' is neither"
            case .sourceAlive(let source, let order, let seconds):
                "the agent of \(source) reported \(Units.seconds(seconds)) ago: it ends order \(order) itself; to stop "
                    + "the move, run 'evenkeel cancel \(order)'"
            case .notThere(let host, let vm, let seconds):
                "\(host) reported \(Units.seconds(seconds)) ago that it does not have \(vm.plainText(limit: 80)); find out "
                    + "where the VM is"
            case .incomplete(let host, let vm, let seconds):
                "\(host) reported \(Units.seconds(seconds)) ago that its copy of \(vm.plainText(limit: 80)) is waiting for "
                    + "the migration to end; check it with 'virsh domstate --reason' there"
            case .runsAtTarget(let target, let vm, let order):
                "\(target) reports that it runs \(vm.plainText(limit: 80)); if that is right, run 'evenkeel end \(order) "
                    + "--on \(target)'"
            }
        }
    }

    /// Returns the record that ends an order, or the search after a failed move, with its VM on `host`.
    ///
    /// `evenIfAlive`: also if the source's agent reports. What the hosts report about the VM is checked in any case, as
    /// far as their samples are newer than the order's last report.
    package static func record(
        of id: String,
        on host: HostName,
        reason: String,
        evenIfAlive: Bool,
        policy: Policy,
        view: FleetView
    ) throws(Refusal) -> OrderRecord {
        guard let move = view.moves.first(where: { $0.order.id.rawValue == id }) else { throw .unknownOrder(id) }
        let order = move.order
        let isInDoubt = move.failure?.isUndecided == true
        // The order has ended, and the record ends its source's search for a second copy.
        let endsSearch = move.mayBeSearched && host == order.source
        guard !move.stage.hasEnded || move.stage == .expired || isInDoubt || endsSearch else {
            throw .hasEnded(order.id, move.stage)
        }
        guard host == order.source || host == order.target else {
            throw .otherHost(host, order.id, source: order.source, target: order.target)
        }
        func sample(of host: HostName) -> LoadSample? { view.hosts.first { $0.name == host }?.sample }
        let heard = max(sample(of: order.source)?.at ?? move.changedAt, move.changedAt)
        // The source waits for the operator: a third host claims the VM.
        var isAwaited = false
        if case .inquiry(_, .copyHereAndElsewhere)? = move.failure?.reason { isAwaited = isInDoubt }
        // As long as the controller counts the move.
        if !evenIfAlive, !endsSearch, !isAwaited, view.at - heard <= policy.staleAfter * 4 {
            throw .sourceAlive(order.source, order.id, secondsAgo: max(0, (view.at - heard).inSeconds))
        }
        func state(on host: HostName) -> (vm: VMState?, secondsAgo: Double)? {
            guard let sample = sample(of: host), sample.at >= move.changedAt, let vms = sample.vms else { return nil }
            let seconds = max(0, (view.at - sample.at).inSeconds)
            return (vms.first { $0.id == order.vm }?.state, seconds)
        }
        if let there = state(on: host) {
            switch there.vm {
            // It may be in an image that its source has saved.
            case nil where host == order.source && order.channel == .sealed: break
            case nil: throw .notThere(host, vm: order.vmName, secondsAgo: there.secondsAgo)
            case .migrating? where host == order.target:
                throw .incomplete(host, vm: order.vmName, secondsAgo: there.secondsAgo)
            default: break
            }
        }
        if host == order.source, state(on: order.target)?.vm == .running {
            throw .runsAtTarget(order.target, vm: order.vmName, order.id)
        }
        return .end(id: order.id, on: host, at: view.at, reason: reason)
    }
}
