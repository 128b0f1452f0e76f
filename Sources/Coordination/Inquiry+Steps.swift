// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The inquiry as a state machine: it looks here, asks the other hosts, and acts on what it learns.
extension Inquiry {
    /// Requests the next look at this host's copy, if it is due.
    mutating func advance(at instant: Instant) -> [OrderAction] {
        guard !isLooking, instant >= nextCheck else { return [] }
        isLooking = true
        nextCheck = instant + interval(at: instant)
        return [.effect(.look(order))]
    }

    /// Takes another host's answer; the target's is followed by a look at the copy here.
    mutating func answered(by host: HostName, _ answer: Question.Answer, to askedAt: Instant) -> [OrderAction] {
        guard question?.askedAt == askedAt else { return [] }
        question?.answers[host] = answer
        guard host == order.target else { return [] }
        heardAt = answer.at
        nextCheck = min(nextCheck, answer.at)
        return advance(at: answer.at)
    }

    mutating func looked(_ observation: CopyObservation, _ context: OrderContext) -> [OrderAction] {
        isLooking = false
        lastHere = if case .seen(let presence) = observation { presence } else { nil }
        let here: DomainPresence
        switch observation {
        case .silent(let words):
            // What the open question showed is not used up.
            if question != nil { lastUsed = nil }
            return leaveOpen(words, context)
        case .seen(.migratingOut):
            (openSince, question) = (context.now, nil)
            // An operator has started the VM and moves it: that migration is not the order's.
            if order.isOffline { return [] }
            // The driver no longer supervises the migration, therefore the inquiry cancels it. After a restart,
            // `advance` of the order applies the limits.
            return cause == .restart || isAfterEnd ? [] : [.cancelMigration]
        case .seen(let presence): here = presence
        }
        if context.mutations.contains(.resumesBlindly), here == .pausedByMigration { return apply(.resume) }
        // Nothing here could run beside a copy at the target.
        if isAfterEnd, here == .absent { return [.finish] }
        // A call of the previous incarnation may still take effect.
        if here == restingPlace, context.now < quietUntil { return [] }
        guard let question, question.here == here else {
            return mustAsk(here, at: context.now) ? ask(here, context) : []
        }
        guard let there = question.answers[order.target] else { return unanswered(question, context) }
        return conclude(question, there, context)
    }

    mutating func applied(_ result: CopyAction.Result, _ context: OrderContext) -> [OrderAction] {
        guard let action else { return [] }
        isLooking = false
        self.action = nil
        let (vm, source, target) = (order.vmName, context.host, order.target)
        let runner = question?.runner(target) ?? target
        switch (action, result) {
        case (.discard, .done) where cause == .failed:
            let finding: FailureReason.Finding =
                order.isOffline
                ? .definitionFoundThere(vm: vm, source: source, target: target)
                : .foundThere(vm: vm, source: source, target: target)
            return end(.inDoubt, finding, .at(target))
        case (.discard, .done) where isAfterEnd, (.resume, .done) where isAfterEnd: return [.finish]
        case (.start, .done), (.start, .notSo):
            guard !isAfterEnd else { return [.finish] }
            let finding: FailureReason.Finding =
                result == .done
                ? .stayed(vm: vm, source: source) : .stayedOff(vm: vm, source: source, target: target)
            return stayed(finding, context)
        case (.discard, .done): return [moved("\(vm) is on \(target)", context)]
        case (.resume, .done): return stayed(.resumed(vm: vm, source: source, target: target), context)
        case (.resume, .refused(let reason)):
            let finding = FailureReason.Finding.pausedHereNotResumed(
                vm: vm,
                source: source,
                target: target,
                detail: reason
            )
            return undecidable(finding)
        case (.pause, .done) where cause == .returned:
            return watch(.duplicatePaused(vm: vm, source: source, target: runner), .at(runner))
        case (.pause, .done):
            return end(.inDoubt, .duplicatePaused(vm: vm, source: source, target: target), .at(target))
        case (.pause, .refused(let reason)):
            let finding = FailureReason.Finding.duplicateRuns(vm: vm, source: source, target: runner, detail: reason)
            return duplicateRuns(finding, context)
        case (_, .notSo(let reason)), (_, .failed(let reason)), (.discard, .refused(let reason)),
            (.start, .refused(let reason)), (.withdraw, .refused(let reason)):
            if action == .pause { lastUsed = nil }
            return leaveOpen(reason, context)
        // The order's target does this, which does not search.
        case (.withdraw, .done): return []
        }
    }

    /// Raises the alert once, and continues to try.
    private mutating func duplicateRuns(_ finding: FailureReason.Finding, _ context: OrderContext) -> [OrderAction] {
        question = nil
        guard !hasReportedDuplicate else { return [] }
        lastUsed = nil
        hasReportedDuplicate = true
        let failure = failure(.inDoubt, finding, .unknown)
        guard isAfterEnd else { return [.report(.failed(failure: failure))] }
        return [.effect(.announce(.duplicate(order.id, vm: order.vmName, failure)))]
    }

    private mutating func apply(_ action: CopyAction) -> [OrderAction] {
        isLooking = true
        self.action = action
        return [.effect(.apply(action, order))]
    }

    private mutating func ask(_ here: DomainPresence, _ context: OrderContext) -> [OrderAction] {
        question = Question(askedAt: context.now, here: here)
        return [.report(.asked(question: PresenceQuestion(vm: order.vm, target: order.target, here: here)))]
    }

    // MARK: conclusions

    /// Age from which an unanswered question is asked again.
    private static let forgotten: Duration = .seconds(600)

    private mutating func unanswered(_ question: Question, _ context: OrderContext) -> [OrderAction] {
        // It may have been lost.
        if context.now - question.askedAt > Self.forgotten { self.question = nil }
        guard context.now - question.askedAt > context.limits.answer else { return [] }
        definedThereSince = nil
        let silence = "its agent has not answered for \(context.limits.answer.wholeSeconds) s"
        switch conclusion(here: question.here, silence: silence, host: context.host) {
        case .stayed(let finding, _): return isAfterEnd ? [] : stayed(finding, context) + [.seekDuplicate]
        // The question stays open: an answer is taken whenever it comes.
        default: return reportDoubt("the agent of \(order.target) does not answer", context)
        }
    }

    private mutating func conclude(
        _ question: Question,
        _ there: Question.Answer,
        _ context: OrderContext
    ) -> [OrderAction] {
        lastUsed = (question.askedAt, question.here)
        var conclusion = conclusion(here: question.here, there: there.presence, host: context.host)
        // An operator has moved it manually: the definition here is the only one.
        if conclusion == .action(.discard), question.here != .absent, there.isPersistent == false, wasPersistent {
            let finding = FailureReason.Finding.transientThere(
                vm: order.vmName,
                source: context.host,
                target: order.target
            )
            conclusion = .inDoubt(finding, isAfterEnd ? .at(order.target) : .unknown)
        }
        if context.mutations.contains(.sparesDuplicates), conclusion == .action(.pause) {
            conclusion = .stayed(.stayed(vm: order.vmName, source: context.host), isCertain: true)
        }
        if context.mutations.contains(.keepsDefinitions), order.isOffline, conclusion == .action(.discard) {
            conclusion = .moved(note: "\(order.vmName) is on \(order.target)")
        }
        if cause == .returned { return returned(conclusion, question, context) }
        switch conclusion {
        case .stayed(.stayedOff(let vm, let source, let target), _):
            if let wait = objection(to: question, context) { return wait }
            if startsWithHost, !isPassive { return apply(.start) }
            return stayed(.stayedOff(vm: vm, source: source, target: target), context)
        case .stayed(let finding, let isCertain):
            if question.here == .inactive, let other = context.movedTo { return objected(by: other, context) }
            if finding.isDefinedThere, cause == .failed { return correct(finding, context) }
            if isCertain { return stayed(finding, context) }
            self.question = nil
            return cause == .failed ? [] : stayed(finding, context) + [.seekDuplicate]
        case .moved(let note): return [moved(note, context)]
        case .inDoubt(let finding, .unknown): return undecidable(finding)
        case .inDoubt(let finding, .at(order.target)) where cause == .failed && finding.isTransientThere:
            return keepDefinition(finding)
        case .inDoubt(let finding, let whereabouts): return end(.inDoubt, finding, whereabouts)
        case .action(.resume) where isPassive: return undecidable(nil)
        case .action(.resume): return objection(to: question, context) ?? apply(.resume)
        case .action(let action): return apply(action)
        case .open:
            return leaveOpen(
                "\(order.vmName) is \(question.here) on \(context.host), \(there.presence) on \(order.target)",
                context
            )
        }
    }

    /// Handles a conclusion about a VM that is on this host again; without a doubt it was moved back by hand.
    private mutating func returned(
        _ conclusion: Conclusion,
        _ question: Question,
        _ context: OrderContext
    ) -> [OrderAction] {
        switch conclusion {
        case .action(.resume):
            let finding = FailureReason.Finding.pausedHereNotResumed(
                vm: order.vmName,
                source: context.host,
                target: order.target,
                detail: "it had moved away; if no host has it, run 'virsh resume' on \(context.host)"
            )
            return [alert(finding, .at(context.host)), .acceptReturn, .finish]
        case .moved: return [.acceptReturn, .finish]
        case .action(let action): return apply(action)
        case .stayed(let finding, let isCertain):
            guard isCertain else { return watch(finding, .at(context.host)) }
            if case .stayedOff = finding { return [alert(finding, .at(context.host)), .acceptReturn, .finish] }
            // Of a VM that was off when it moved.
            if question.here == .inactive, let other = context.movedTo {
                let elsewhere = FailureReason.Finding.copyHereAndElsewhere(
                    vm: order.vmName,
                    source: context.host,
                    other: other
                )
                return [alert(elsewhere, .at(context.host)), .acceptReturn, .finish]
            }
            return runsElsewhere(question, context) ?? [.acceptReturn, .finish]
        case .inDoubt(let finding, let whereabouts):
            if whereabouts == .at(order.target) { return watch(finding, whereabouts) }
            return [alert(finding, whereabouts), .acceptReturn, .finish]
        case .open:
            self.question = nil
            return []
        }
    }

    /// Returns the actions for a copy that runs here although the VM may have moved on from the target; `nil` if no other
    /// host runs it.
    private mutating func runsElsewhere(_ question: Question, _ context: OrderContext) -> [OrderAction]? {
        guard question.here == .running else { return nil }
        if question.runner(order.target) != nil { return apply(.pause) }
        guard let answer = question.answers[order.target], context.now - answer.at < context.limits.veto else {
            return nil
        }
        nextCheck = min(nextCheck, answer.at + context.limits.veto)
        return []
    }

    /// Raises an alert once, and asks again at the next check: an operator must decide which copy to keep.
    private mutating func watch(
        _ finding: FailureReason.Finding,
        _ whereabouts: OrderFailure.Whereabouts
    ) -> [OrderAction] {
        question = nil
        guard !hasReportedDoubt else { return [] }
        hasReportedDoubt = true
        return [alert(finding, whereabouts)]
    }

    private func alert(_ finding: FailureReason.Finding, _ whereabouts: OrderFailure.Whereabouts) -> OrderAction {
        let failure = failure(.inDoubt, finding, whereabouts)
        return .effect(.announce(.returned(order.id, vm: order.vmName, failure)))
    }

    /// Returns the actions while the copy here must not be used yet; `nil` if no third host runs the VM.
    ///
    /// An operator may have started it elsewhere by hand.
    private mutating func objection(to question: Question, _ context: OrderContext) -> [OrderAction]? {
        let isIgnored = isRejected(copy: question.here, context) || context.mutations.contains(.ignoresObjections)
        // Its host need not answer now: the ledger shows that the VM has moved on.
        if let other = context.movedTo, !isIgnored { return objected(by: other, context) }
        switch question.clearance(order.target, heedsOthers: !isIgnored, veto: context.limits.veto, at: context.now) {
        case .clear: return nil
        case .objection(let other): return objected(by: other, context)
        case .outdated:
            self.question = nil
            return []
        case .wait(let instant):
            // A long search looks seldom, and the answer would be old by then.
            nextCheck = min(nextCheck, instant)
            return []
        }
    }

    // MARK: ends

    /// A failed move has been reported as here already, unless that was corrected since.
    private func stayed(_ finding: FailureReason.Finding, _ context: OrderContext) -> [OrderAction] {
        if cause == .failed, !isReportedThere { return [.finish] }
        let failure = failure(cause == .restart ? .interrupted : .migration, finding, .at(context.host))
        return [.end(.failure(failure))]
    }

    private func moved(_ note: String, _ context: OrderContext) -> OrderAction {
        let outcome = MigrationOutcome(startedAt: startedAt, endedAt: context.now, note: "\(doubt.text); \(note)")
        let verdict: Evidence.Verdict = order.channel == .plain ? .unprotected : .unknown
        let evidence = Evidence(channel: order.channel, verdict: verdict)
        return .end(.success(AgentCore.Completion(outcome: outcome, evidence: evidence)))
    }

    /// Asks again at the next check.
    private mutating func leaveOpen(_ detail: String, _ context: OrderContext) -> [OrderAction] {
        question = nil
        return reportDoubt(detail, context)
    }

    /// Ends an order that has been open for long in doubt, once, and continues the search.
    private mutating func reportDoubt(_ detail: String, _ context: OrderContext) -> [OrderAction] {
        let limit = context.limits.doubt
        guard !isAfterEnd, !hasReportedDoubt, context.now - openSince > limit else { return [] }
        hasReportedDoubt = true
        let failure = failure(.inDoubt, .undecided(detail: detail, limit: limit), .unknown)
        let end = OrderAction.report(.failed(failure: failure))
        return context.mutations.contains(.dropsDoubts) ? [end, .finish] : [end]
    }

    /// Reports once a doubt that only an operator can resolve, and asks again later what was decided.
    private mutating func undecidable(_ finding: FailureReason.Finding?) -> [OrderAction] {
        question = nil
        if isAfterEnd, let finding { return end(.inDoubt, finding, .unknown) }
        guard !isPassive, let finding else { return [] }
        (isPassive, hasReportedDoubt) = (true, true)
        return [.report(.failed(failure: failure(.inDoubt, finding, .unknown)))]
    }

    /// Corrects the end of a failed move once, with an alert, and asks again later what the operator has done.
    private mutating func keepDefinition(_ finding: FailureReason.Finding) -> [OrderAction] {
        question = nil
        isPassive = true
        guard !isReportedThere else { return [] }
        isReportedThere = true
        let failure = failure(.inDoubt, finding, .at(order.target))
        return [
            .report(.failed(failure: failure)), .effect(.announce(.duplicate(order.id, vm: order.vmName, failure))),
        ]
    }

    /// Reports the end of the order; if it had already ended, raises an alert, and corrects the end if the VM is at the
    /// target.
    private func end(
        _ kind: OrderFailure.Kind,
        _ finding: FailureReason.Finding,
        _ whereabouts: OrderFailure.Whereabouts
    ) -> [OrderAction] {
        let failure = failure(kind, finding, whereabouts)
        guard cause == .failed else { return [.end(.failure(failure))] }
        let alert = OrderAction.effect(.announce(.duplicate(order.id, vm: order.vmName, failure)))
        return whereabouts == .at(order.target) ? [.end(.failure(failure)), alert] : [.finish, alert]
    }

    func failure(
        _ kind: OrderFailure.Kind,
        _ finding: FailureReason.Finding,
        _ whereabouts: OrderFailure.Whereabouts
    ) -> OrderFailure {
        var failure = OrderFailure(kind, .inquiry(doubt, finding), whereabouts)
        if case .lostAnswer(let first) = cause { failure.evidence = first.evidence }
        return failure
    }
}
