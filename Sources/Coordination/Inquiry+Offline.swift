// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The search for a VM that was off when it moved: only its definition is moved, and the VM may be started meanwhile.
///
/// libvirt defines the VM at the target first, and then removes the source's definition. If its answer is lost in
/// between, both hosts have the definition, and each could start the VM. A VM that is off has no memory that could be
/// older than its disks, so either definition may stay; the search leaves one.
extension Inquiry {
    /// Returns the conclusion from the states here and at the target; every pair has its row.
    func offlineConclusion(here: DomainPresence, there: DomainPresence, host: HostName) -> Conclusion {
        let (vm, target) = (order.vmName, order.target)
        let stayed = FailureReason.Finding.stayed(vm: vm, source: host)
        let definedThere = FailureReason.Finding.definedThere(vm: vm, source: host, target: target)
        switch (here, there) {
        // The usual states. A definition at the target means that the move has arrived: the one here must go.
        case (.inactive, .absent): return .stayed(stayed, isCertain: true)
        case (.inactive, .inactive): return .action(.discard)
        case (.absent, .inactive): return .moved(note: "\(vm) is on \(target)")
        case (.absent, .absent):
            return .inDoubt(.definedNowhere(vm: vm, source: host, target: target), .unknown)

        // It was started at the target.
        // The target has paused its copy as a second one, and the VM has worked here since.
        case (.inactive, .paused) where cause == .failed && !isReportedThere:
            return .inDoubt(.copyHereAndElsewhere(vm: vm, source: host, other: target), .unknown)
        case (.inactive, .running), (.inactive, .migratingOut), (.inactive, .paused): return .action(.discard)
        case (.absent, .running), (.absent, .migratingOut), (.absent, .paused):
            return .moved(note: "\(vm) is on \(target), where it was started")

        // It was started here. The target's agent removes the definition there when it reads this conclusion.
        case (.running, .absent), (.paused, .absent): return .stayed(stayed, isCertain: true)
        case (.running, .inactive), (.paused, .inactive): return .stayed(definedThere, isCertain: false)

        // It was started on both hosts.
        case (.running, .running), (.running, .migratingOut), (.paused, .running), (.paused, .migratingOut):
            return .action(.pause)
        case (.running, .paused):
            return .inDoubt(.runsHereCopyThere(vm: vm, source: host, target: target), .at(host))
        case (.paused, .paused): return .inDoubt(.pausedHereAndElsewhere(vm: vm, source: host, other: target), .unknown)

        // A live migration that is not the order's is under way or was cut off: its end shows where the VM is.
        case (.running, .pausedByMigration), (.paused, .pausedByMigration), (.inactive, .pausedByMigration),
            (.absent, .pausedByMigration):
            return .open
        case (.pausedByMigration, .running), (.pausedByMigration, .migratingOut), (.pausedByMigration, .paused),
            (.pausedByMigration, .pausedByMigration), (.pausedByMigration, .inactive), (.pausedByMigration, .absent):
            return .open
        case (.migratingOut, .running), (.migratingOut, .migratingOut), (.migratingOut, .paused),
            (.migratingOut, .pausedByMigration), (.migratingOut, .inactive), (.migratingOut, .absent):
            return .open
        }
    }

    /// Corrects the end of a failed offline move once, so that its target removes the definition.
    ///
    /// Then it asks for a limited time whether the target has. It may be unable to, or leave the definition alone because the
    /// failure is old.
    mutating func correct(_ finding: FailureReason.Finding, _ context: OrderContext) -> [OrderAction] {
        question = nil
        let since = definedThereSince ?? context.now
        definedThereSince = since
        guard hasReportedDoubt else {
            hasReportedDoubt = true
            return [.report(.failed(failure: failure(.migration, finding, .at(context.host))))]
        }
        let limit = context.limits.doubt
        guard context.now - since > limit else { return [] }
        let detail = "its agent has not done so for \(limit.wholeSeconds) s"
        let alert = AgentCore.Announcement.definitionNotRemoved(
            order.id,
            vm: order.vmName,
            on: order.target,
            detail: detail
        )
        return [.finish, .effect(.announce(alert))]
    }
}

extension OrderState {
    /// Whether the source has reported that the VM is active there and that its definition is at the target.
    var isDefinedThere: Bool {
        guard stage == .failed, case .inquiry(_, let finding)? = failure?.reason else { return false }
        return finding.isDefinedThere
    }
}

extension FailureReason.Finding {
    var isDefinedThere: Bool { if case .definedThere = self { true } else { false } }
    var isTransientThere: Bool { if case .transientThere = self { true } else { false } }
}
