// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Notices VMs that are on this host again, although they have moved away.
///
/// A power cut can bring back a definition that libvirt had removed, and an operator can start a leftover copy. The VM
/// could then run twice. The agent watches for as long as it runs, and after its restart for as long as the ledger has
/// the order.
extension AgentCore {
    /// Takes the VMs that the hypervisor knows, running or not.
    mutating func take(known vms: [VMID], at instant: Instant) {
        guard isCaughtUp, !mutations.contains(.ignoresReturns) else { return }
        let newest = newestOrders()
        for vm in vms {
            guard let id = newest[vm], let item = work[id], item.hasLeft(host), !item.isReturnAccepted else { continue }
            guard case .idle = item.activity else { continue }
            work[id]?.activity = .inquiry(Inquiry(.returned, of: item.state, at: instant))
        }
        checkCopies(known: vms, newest: newest, at: instant)
    }

    /// Returns the newest known order of each VM whose move has begun; a refused one has changed nothing.
    func newestOrders() -> [VMID: OrderID] {
        var newest: [VMID: (place: Int, id: OrderID)] = [:]
        for item in work.values where item.hasBegun && item.place >= newest[item.order.vm]?.place ?? 0 {
            newest[item.order.vm] = (item.place, item.order.id)
        }
        return newest.mapValues(\.id)
    }

    /// For how long a restarted agent needs orders that have ended; the newest one of each VM that has left this host for
    /// as long as the ledger has it, because the VM may return at any time.
    public static let needed: Duration = .seconds(7 * 86400)
}

extension OrderWork {
    var hasBegun: Bool { state.startedAt != nil || state.stage == .done }

    /// Whether the order has moved its VM away from the host.
    func hasLeft(_ host: HostName) -> Bool { state.stage == .done && order.source == host }
}
