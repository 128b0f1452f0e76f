// SPDX-License-Identifier: Apache-2.0
internal import HostOS
package import Balancing
package import Fleet

/// Moves the VMs that are off on a host in maintenance, one after the other: a path carries one move at a time.
package enum OfflineDrain {
    package enum Refusal: Error, Equatable, CustomStringConvertible {
        case unknownHost(HostName)
        case notInMaintenance(HostName)
        case stayed(Int, of: Int)
        /// The operator pressed Ctrl-C: this order continues, and this number of moves was not ordered.
        case interrupted(OrderID?, left: Int)

        package var description: String {
            switch self {
            case .unknownHost(let host): "host '\(host)' has not reported; 'evenkeel status' lists the hosts"
            case .notInMaintenance(let host):
                "\(host) is not in maintenance: set 'mode: maintenance' at its entry in hosts, or move single VMs with "
                    + "'evenkeel migrate --offline'"
            case .stayed(let count, let all): "\(count) of \(all) VMs stayed; the reasons are above"
            case .interrupted(let order, let left):
                "interrupted: "
                    + (order.map { "order \($0) continues; to cancel it, run 'evenkeel cancel \($0)'. " }
                        ?? "no order continues. ")
                    + "\(Units.count(left, "move")) \(left == 1 ? "was" : "were") not ordered. The host stays in maintenance; run the command again for the rest"
            }
        }
    }

    /// Returns the VMs to move: those that are off on the host and active on no other.
    package static func vms(of host: HostName, in view: FleetView) throws(Refusal) -> [InactiveVM] {
        guard let host = view.hosts.first(where: { $0.name == host }) else { throw .unknownHost(host) }
        guard host.isInMaintenance else { throw .notInMaintenance(host.name) }
        return (host.inactive ?? []).filter { $0.activeOn == nil }
    }

    package static func text(_ vms: [InactiveVM], on host: HostName) -> String {
        guard !vms.isEmpty else { return "No VM is off on \(host)." }
        let names = vms.map { $0.name.plainText(limit: 80) }.joined(separator: ", ")
        return "\(Units.count(vms.count, "VM")) to move from \(host): \(names)"
    }

    /// Moves each VM with `move`, which returns its summary; returns the number of VMs that stayed.
    ///
    /// `move` states its order before it writes it, and throws a `CancellationError` if the caller was cancelled. A leak
    /// closes the channel, and the moves after it would be refused: the drain ends. So it does when the caller is
    /// cancelled.
    package static func move(
        _ vms: [InactiveVM],
        _ move: (InactiveVM, inout OrderID?) async throws -> String,
        say: (String) -> Void
    ) async throws -> Int {
        var stayed = 0
        for (index, vm) in vms.enumerated() {
            var order: OrderID?
            do {
                try Task.checkCancellation()
                say(try await move(vm, &order))
            } catch is CancellationError {
                throw Refusal.interrupted(order, left: vms.count - index - (order == nil ? 0 : 1))
            } catch let error as ManualOrderError {
                if case .leaked = error { throw error }
                stayed += 1
                say("\(vm.name.plainText(limit: 80)): \(error)")
            }
        }
        return stayed
    }
}
