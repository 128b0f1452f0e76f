// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The inquiry as a state machine: it checks both hosts, and reacts to observations and to the results of its actions.
extension Inquiry {
    /// Requests the next observation, if it is due.
    mutating func advance(at instant: Instant) -> [OrderAction] {
        guard !isAsking, instant >= nextCheck else { return [] }
        isAsking = true
        nextCheck = instant + interval(at: instant)
        return [.effect(.look(order))]
    }

    mutating func looked(_ observation: CopyObservation, _ context: OrderContext) -> [OrderAction] {
        isAsking = false
        var conclusion = conclusion(from: observation, host: context.host)
        if context.mutations.contains(.resumesBlindly), observation.here == .seen(.pausedByMigration) {
            conclusion = .action(.resume)
        }
        if context.mutations.contains(.sparesDuplicates), conclusion == .action(.pause) {
            conclusion = .stayed(.stayed(vm: order.vmName, source: context.host))
        }
        if cause == .failed { return sought(conclusion, there: observation.there) }
        if case .stayed = conclusion, observation.here == .seen(.running), context.now < quietUntil { return [] }
        switch conclusion {
        case .stayed(let finding):
            let isSilent = if case .silent = observation.there { true } else { false }
            return stayed(finding, context) + (isSilent ? [.seekDuplicate] : [])
        case .moved(let note): return [moved(note, context)]
        case .inDoubt(let finding): return conclude(.inDoubt, finding, .unknown)
        case .action(let action): return apply(action)
        case .stillMoving:
            openSince = context.now
            // The driver no longer supervises the migration, therefore the inquiry cancels it. After a restart,
            // `advance` of the order applies the limits.
            return cause == .restart ? [] : [.cancelMigration]
        case .open(let words): return leaveOpen(words, context)
        }
    }

    mutating func applied(_ result: CopyAction.Result, _ context: OrderContext) -> [OrderAction] {
        guard let action else { return [] }
        isAsking = false
        self.action = nil
        let (vm, source, target) = (order.vmName, context.host, order.target)
        switch (action, result) {
        case (.discard, .done): return [moved("\(vm) is on \(target)", context)]
        case (.resume, .done): return stayed(.resumed(vm: vm, source: source, target: target), context)
        case (.resume, .refused(let reason)):
            let finding = FailureReason.Finding.pausedHereNotResumed(
                vm: vm,
                source: source,
                target: target,
                detail: reason
            )
            return conclude(.inDoubt, finding, .unknown)
        case (.pause, .done):
            return conclude(.inDoubt, .duplicatePaused(vm: vm, source: source, target: target), .at(target))
        case (.pause, .refused(let reason)):
            let finding = FailureReason.Finding.duplicateRuns(vm: vm, source: source, target: target, detail: reason)
            return conclude(.inDoubt, finding, .unknown)
        case (_, .notSo(let reason)), (_, .failed(let reason)), (.discard, .refused(let reason)):
            return leaveOpen(reason, context)
        }
    }

    private mutating func apply(_ action: CopyAction) -> [OrderAction] {
        isAsking = true
        self.action = action
        return [.effect(.apply(action, order))]
    }

    // MARK: ends

    /// Handles an observation after a failed move, which may have left a second copy; repeats until the target answers.
    private mutating func sought(_ conclusion: Conclusion, there: CopyObservation.State) -> [OrderAction] {
        switch (conclusion, there) {
        case (.action(.pause), _): apply(.pause)
        case (_, .silent): []
        default: [.finish]
        }
    }

    private func stayed(_ finding: FailureReason.Finding, _ context: OrderContext) -> [OrderAction] {
        conclude(cause == .restart ? .interrupted : .migration, finding, .at(context.host))
    }

    private func moved(_ note: String, _ context: OrderContext) -> OrderAction {
        let outcome = MigrationOutcome(startedAt: startedAt, endedAt: context.now, note: "\(doubt.text); \(note)")
        let verdict: Evidence.Verdict = order.channel == .plain ? .unprotected : .unknown
        let evidence = Evidence(channel: order.channel, verdict: verdict)
        return .end(.success(AgentCore.Completion(outcome: outcome, evidence: evidence)))
    }

    private func leaveOpen(_ detail: String, _ context: OrderContext) -> [OrderAction] {
        let limit = context.limits.doubt
        guard cause != .failed, context.now - openSince > limit else { return [] }
        return conclude(.inDoubt, .undecided(detail: detail, limit: limit), .unknown)
    }

    /// Reports the end of the order, or raises an alert if the order had already ended.
    private func conclude(
        _ kind: OrderFailure.Kind,
        _ finding: FailureReason.Finding,
        _ whereabouts: OrderFailure.Whereabouts
    ) -> [OrderAction] {
        var failure = OrderFailure(kind, .inquiry(doubt, finding), whereabouts)
        if case .lostAnswer(let first) = cause { failure.evidence = first.evidence }
        guard cause == .failed else { return [.end(.failure(failure))] }
        return [.finish, .effect(.announce(.duplicate(order.id, vm: order.vmName, failure)))]
    }
}
