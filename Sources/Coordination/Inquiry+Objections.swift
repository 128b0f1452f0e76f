// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A third host answers that it has the VM, which keeps the source from using its own copy.
///
/// Any host can claim that. No record disproves it: an operator who starts the VM elsewhere from its shared disks leaves
/// none, and resuming a second copy would destroy these disks. So the claim is reported at once, and an operator decides.
extension Inquiry {
    /// How long an operator's statement counts against a third host's claim.
    ///
    /// The agent may read it late, and the operator may have started the VM elsewhere meanwhile.
    private static let ruled: Duration = .seconds(600)

    /// Returns whether an operator has rejected the claims of third hosts to this copy.
    ///
    /// It counts only for the memory of a copy that a migration has paused. After a restart of its host, an operator starts
    /// the VM.
    func isRejected(copy here: DomainPresence, _ context: OrderContext) -> Bool {
        guard here == .pausedByMigration, let rejectedAt else { return false }
        return context.now - rejectedAt <= Self.ruled && rejectedAt - context.now <= Self.ruled
    }

    /// Reports the claim, once for each host, and asks again at the next check.
    mutating func objected(by other: HostName, _ context: OrderContext) -> [OrderAction] {
        question = nil
        guard reportedObjections.insert(other).inserted else { return [] }
        hasReportedDoubt = true
        let finding = FailureReason.Finding.copyHereAndElsewhere(vm: order.vmName, source: context.host, other: other)
        let failure = failure(.inDoubt, finding, .unknown)
        guard isAfterEnd else { return [.report(.failed(failure: failure))] }
        return [.effect(.announce(.duplicate(order.id, vm: order.vmName, failure)))]
    }
}

extension OrderState {
    /// When an operator stated that the VM is at its source, after the source had reported that a third host claims it.
    var claimsRejectedAt: Instant? {
        guard let statedEnd, statedEnd.host == order.source, let doubt = reportedDoubt, statedEnd.at >= doubt.at,
            case .inquiry(_, .copyHereAndElsewhere) = doubt.failure.reason
        else { return nil }
        return statedEnd.at
    }
}
