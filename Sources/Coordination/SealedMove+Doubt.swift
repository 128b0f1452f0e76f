// SPDX-License-Identifier: Apache-2.0
import Fleet

/// How the source pursues an order that has ended in doubt.
///
/// The handover says whose the VM is, but an operator may have started it on any host meanwhile: its disks would then be
/// newer than the image. The source therefore asks all hosts, as an inquiry does, from the beginning of the doubt on. It
/// takes the VM back only if no host has ever had it since, and never if another host had it once.
extension SealedMove {
    /// Age from which a question is asked again.
    private static let questionAge: Duration = .seconds(60)
    /// Pause after an attempt to take the VM back that has failed.
    private static let pauseAfterFailure: Duration = .seconds(600)

    mutating func lookedInDoubt(
        _ observation: CopyObservation,
        _ state: OrderState,
        _ context: OrderContext
    ) -> [OrderAction] {
        if case .seen(let here) = observation, mayTakeBack(here), state.belongsToSource,
            context.mutations.contains(.takesBackUnasked)
        {
            return attempt(.takeBack(state.order, startsWithHost: state.startsWithHost), context)
        }
        guard case .seen(let here) = observation, mayTakeBack(here), !isSeenElsewhere,
            asksFrom.map({ context.now >= $0 }) ?? true
        else {
            question = nil
            return []
        }
        guard let question, question.here == here, context.now - question.askedAt <= Self.questionAge else {
            question = Inquiry.Question(askedAt: context.now, here: here)
            let asked = PresenceQuestion(vm: state.order.vm, target: state.order.target, here: here)
            return [.report(.asked(question: asked))]
        }
        guard state.belongsToSource, question.answers[state.order.target]?.presence == .absent else { return [] }
        switch question.clearance(state.order.target, veto: context.limits.veto, at: context.now) {
        case .clear:
            self.question = nil
            return attempt(.takeBack(state.order, startsWithHost: state.startsWithHost), context)
        case .wait(let instant): nextTry = min(nextTry, instant)
        case .outdated: self.question = nil
        case .objection: break
        }
        return []
    }

    /// Returns whether this state of the copy here shows that the VM was neither started nor defined here.
    ///
    /// A paused copy is one that an earlier incarnation restored and did not start.
    private func mayTakeBack(_ here: DomainPresence) -> Bool {
        switch here {
        case .pausedByMigration: true
        case .absent: recollection?.hasStarted != true
        case .running, .paused, .migratingOut, .inactive: false
        }
    }

    /// Takes another host's answer to this source's question.
    mutating func answered(
        by host: HostName,
        _ answer: Inquiry.Question.Answer,
        to askedAt: Instant,
        _ context: OrderContext
    ) -> [OrderAction] {
        guard question?.askedAt == askedAt else { return [] }
        question?.answers[host] = answer
        nextTry = min(nextTry, context.now)
        return [.advance]
    }

    /// Delays the next question after an attempt to take the VM back that has failed.
    mutating func pauseQuestions(_ context: OrderContext) {
        question = nil
        asksFrom = context.now + Self.pauseAfterFailure
    }
}

extension OrderState {
    /// Whether the handover says that only the source may run the VM: it has not released the image, or the target has
    /// declined and will never run it under this order.
    fileprivate var belongsToSource: Bool {
        switch handover.phase {
        case .saving, .offered, .returned: true
        case .released, .arrived: false
        }
    }
}

extension OrderWork {
    /// Records that the VM of a sealed move was on another host since it was saved.
    ///
    /// The ledger keeps the answers and orders that show this, so a restarted agent finds it out again.
    mutating func noteElsewhere(_ presence: DomainPresence, on host: HostName) {
        guard order.channel == .sealed, host != order.source else { return }
        switch presence {
        case .running, .paused, .migratingOut, .inactive: isSeenElsewhere = true
        // The target restored this copy, and has not started it.
        case .pausedByMigration: if host != order.target { isSeenElsewhere = true }
        case .absent: break
        }
    }

    /// Records a later order that moves the VM from another host: the VM may be absent everywhere because it is on its
    /// way again.
    mutating func noteElsewhere(_ later: MigrationOrder) {
        guard order.channel == .sealed, later.vm == order.vm, later.id != order.id, later.source != order.source
        else { return }
        isSeenElsewhere = true
    }
}
