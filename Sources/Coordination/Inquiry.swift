// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The search for the VM of an order whose end this agent did not observe.
///
/// Only libvirt knows where a VM runs, and every agent speaks for its own. The source looks at its own copy, asks the
/// other hosts through the ledger, and looks again when the target has answered (`conclusion`). It never needs a
/// connection to the target.
struct Inquiry: Sendable {
    enum Cause: Sendable, Equatable {
        /// An earlier incarnation of this agent began the move.
        case restart
        /// The hypervisor's call ended without the VM's location.
        case lostAnswer(OrderFailure)
        /// The move failed and the VM runs here, but the target may run it, too.
        ///
        /// libvirt resumes the source's copy if the answer to the last step is lost, although the target may have taken
        /// over.
        case failed
        /// The move was done, and the VM is on this host again.
        case returned
    }

    /// A question in the ledger, and the answers to it.
    struct Question: Sendable, Equatable {
        let askedAt: Instant
        /// The VM's state here when the question was asked.
        let here: DomainPresence
        var answers: [HostName: Answer] = [:]

        /// Returns a host that has answered that it runs the VM, the order's target first.
        func runner(_ target: HostName) -> HostName? {
            let runners = answers.filter { $0.value.presence == .running || $0.value.presence == .migratingOut }
            return runners[target] != nil ? target : runners.keys.min()
        }

        struct Answer: Sendable, Equatable {
            let presence: DomainPresence
            /// Whether the VM has a definition there; `nil` if it is absent, and from an older agent.
            let isPersistent: Bool?
            let at: Instant
        }

        /// Whether the copy here may be used, according to the hosts that have answered.
        enum Clearance: Equatable {
            case clear
            /// This host has the VM, too.
            case objection(HostName)
            /// Hosts that have the VM may still object until then.
            case wait(until: Instant)
            /// The target's answer is missing or came late: others may have taken the VM since the question.
            case outdated
        }

        /// Age up to which an answer may decide that a copy here is used.
        private static let fresh: Duration = .seconds(30)

        /// Hosts without the VM do not answer, and a host that does not answer vetoes nothing.
        func clearance(_ target: HostName, heedsOthers: Bool = true, veto: Duration, at instant: Instant) -> Clearance {
            let others = answers.filter { host, answer in
                host != target && answer.presence != .absent && answer.presence != .inactive
            }
            if heedsOthers, let other = others.keys.min() { return .objection(other) }
            guard let answer = answers[target], instant - askedAt <= Self.fresh else { return .outdated }
            return instant - answer.at < veto ? .wait(until: answer.at + veto) : .clear
        }
    }

    let order: MigrationOrder
    let cause: Cause
    let doubt: FailureReason.Doubt
    let startedAt: Instant
    /// Whether the VM starts with its host; its autostart is off while it moves.
    let startsWithHost: Bool
    /// Whether the VM had a definition here when it was to move.
    let wasPersistent: Bool
    /// Since when the VM's location is open.
    var openSince: Instant
    /// Until when a VM that runs here may still begin to move, without any sign of a migration.
    var quietUntil: Instant
    var nextCheck: Instant
    /// Whether an effect of the inquiry is running.
    var isLooking = false
    /// The open question; `nil` if the next look must ask.
    var question: Question?
    /// The newest question whose answer has been used: when it was asked, and the state of the copy here.
    var lastUsed: (askedAt: Instant, here: DomainPresence)?
    /// The action under way; its result decides the conclusion.
    var action: CopyAction?
    /// Whether the order has ended in doubt; the search continues, and reports its result.
    var hasReportedDoubt: Bool
    /// Whether the end of a failed move has been corrected: the VM is at the target, without a definition.
    var isReportedThere = false
    /// The state of the copy here at the latest look.
    var lastHere: DomainPresence?
    /// When the target answered last.
    var heardAt: Instant?
    /// Since when the target of an offline move answers that it has the definition, although the VM is active here.
    var definedThereSince: Instant?
    /// Third hosts whose claims to the VM are reported.
    var reportedObjections: Set<HostName> = []
    /// When an operator rejected such claims.
    let rejectedAt: Instant?
    /// Whether it is reported that two copies run.
    var hasReportedDuplicate = false
    /// Whether only an operator can choose the copy to use: this memory may be older than the disks, whatever is removed.
    ///
    /// The search then starts and resumes nothing, and only reports what the operator has decided.
    var isPassive: Bool

    init(_ cause: Cause, of state: OrderState, at instant: Instant, quiet: Duration = .zero) {
        order = state.order
        self.cause = cause
        hasReportedDoubt = cause == .restart && state.isInDoubt || cause == .failed && state.isDefinedThere
        // Also of a doubt that a record has ended: it makes no memory newer.
        switch (state.reportedDoubt?.failure ?? state.failure)?.reason {
        case .inquiry(_, .runsNowhere), .inquiry(_, .pausedHereInactiveThere), .inquiry(_, .pausedHereAndElsewhere),
            .inquiry(_, .pausedHereNotResumed), .inquiry(_, .definedNowhere):
            isPassive = cause == .restart && state.isInDoubt
        // If the VM is absent there since, it has run nevertheless.
        case .inquiry(_, .transientThere): (isPassive, isReportedThere) = (true, cause == .failed)
        default: isPassive = false
        }
        if hasReportedDoubt, case .inquiry(_, .copyHereAndElsewhere(_, _, let other)) = state.failure?.reason {
            reportedObjections = [other]
        }
        rejectedAt = state.claimsRejectedAt
        doubt =
            switch cause {
            case .restart: .agentRestarted
            case .lostAnswer(let failure): .answerLost(detail: failure.text)
            case .failed: .moveFailed
            case .returned: .returned
            }
        startedAt = state.startedAt ?? state.order.issuedAt
        startsWithHost = state.requirements?.startsWithHost == true
        wasPersistent = state.requirements?.isTransient != true
        openSince = instant
        quietUntil = instant + quiet
        nextCheck = instant
    }

    /// Whether the order had ended before the inquiry began.
    var isAfterEnd: Bool { cause == .failed || cause == .returned }

    /// Returns whether the controller may move the VM although the search is open.
    ///
    /// The VM runs here, and the target has been silent for long: it may never return. The new move leads elsewhere. If
    /// the target returns with a copy, its agent sees that a newer move has begun, and pauses the copy (`CopyDecision`).
    func permits(_ newer: MigrationOrder, at instant: Instant) -> Bool {
        cause == .failed && lastHere == .running && newer.target != order.target
            && instant - max(openSince, heardAt ?? openSince) > Self.pinned
    }

    /// How long a silent target keeps the controller from moving the VM.
    private static let pinned: Duration = .seconds(3600)

    /// Returns the time until the next check; longer for a search that takes long.
    func interval(at instant: Instant) -> Duration {
        // An operator may start the copy here at any time.
        if isPassive { return .seconds(10) }
        return switch instant - openSince {
        case ..<(.seconds(30)): .seconds(2)
        case ..<(.seconds(600)): .seconds(10)
        default: .seconds(60)
        }
    }

    /// Returns whether the other hosts must be asked now: seldom while only an operator can decide, and at once if the copy
    /// here has changed.
    func mustAsk(_ here: DomainPresence, at instant: Instant) -> Bool {
        guard isPassive, let last = lastUsed, last.here == here else { return true }
        return instant - last.askedAt >= .seconds(600)
    }

    /// The state of a copy here that a call of the previous incarnation may still begin to move.
    var restingPlace: DomainPresence { order.isOffline ? .inactive : .running }

    func shifted(by step: Duration) -> Inquiry {
        var shifted = self
        shifted.openSince = openSince + step
        shifted.heardAt = heardAt.map { $0 + step }
        shifted.definedThereSince = definedThereSince.map { $0 + step }
        shifted.quietUntil = quietUntil + step
        shifted.nextCheck = nextCheck + step
        shifted.lastUsed = lastUsed.map { ($0.askedAt + step, $0.here) }
        // Its time identifies the question in the ledger.
        shifted.question = nil
        return shifted
    }
}

/// The conclusion from the states of a VM's copies.
enum Conclusion: Equatable {
    /// It is here; `isCertain`: no copy at the target can begin to run.
    case stayed(FailureReason.Finding, isCertain: Bool)
    /// `note`: the text for the report.
    case moved(note: String)
    case inDoubt(FailureReason.Finding, OrderFailure.Whereabouts)
    /// The action to execute first.
    case action(CopyAction)
    case open
}

extension Inquiry {
    /// Returns the conclusion from the states here and at the target; `here` is not `.migratingOut`.
    ///
    /// Every pair has its row: an omitted one would be decided by chance.
    func conclusion(here: DomainPresence, there: DomainPresence, host: HostName) -> Conclusion {
        if order.isOffline { return offlineConclusion(here: here, there: there, host: host) }
        let (vm, target) = (order.vmName, order.target)
        let stayed = FailureReason.Finding.stayed(vm: vm, source: host)
        switch (here, there) {
        // It runs here. A copy that runs at the target has taken over, and this one must not write to its disks.
        case (.running, .running), (.running, .migratingOut): return .action(.pause)
        case (.running, .absent): return .stayed(stayed, isCertain: true)
        // The target's libvirt may still be about to resume its copy.
        case (.running, .pausedByMigration): return .stayed(stayed, isCertain: false)
        // The target's copy may have run, and may have written to the disks.
        case (.running, .paused), (.running, .inactive):
            return .inDoubt(.runsHereCopyThere(vm: vm, source: host, target: target), .at(host))

        // Its owner paused it here, or this agent paused it as a second copy. It must not start with this host, either.
        case (.paused, .running), (.paused, .migratingOut): return .action(.pause)
        case (.paused, .absent): return .stayed(stayed, isCertain: true)
        case (.paused, .pausedByMigration): return .stayed(stayed, isCertain: false)
        case (.paused, .paused): return .inDoubt(.pausedHereAndElsewhere(vm: vm, source: host, other: target), .unknown)
        case (.paused, .inactive):
            return .inDoubt(.pausedHereInactiveThere(vm: vm, source: host, target: target), .unknown)

        // The migration paused it here: it belongs to the target if the target has run it.
        case (.pausedByMigration, .running), (.pausedByMigration, .migratingOut): return .action(.discard)
        case (.pausedByMigration, .absent): return .action(.resume)
        // Both wait: libvirt may still be about to end the migration.
        case (.pausedByMigration, .pausedByMigration): return .open
        // Paused there by its owner, or by an error before it ran.
        case (.pausedByMigration, .paused): return .open
        // The memory here may be older than the disks: only an operator may resume this copy.
        case (.pausedByMigration, .inactive):
            return .inDoubt(.pausedHereInactiveThere(vm: vm, source: host, target: target), .unknown)

        // It ran here after the move had failed. The target may have paused its copy as a second one (`CopyDecision`), whose
        // memory is older than the disks.
        case (.inactive, .paused) where cause == .failed && !isReportedThere:
            return .inDoubt(.copyHereAndElsewhere(vm: vm, source: host, other: target), .unknown)

        // Only its definition is here, which could start it a second time.
        case (.inactive, .running), (.inactive, .migratingOut), (.inactive, .paused): return .action(.discard)
        case (.inactive, .pausedByMigration): return .open
        case (.inactive, .inactive): return .inDoubt(.runsNowhere(vm: vm, source: host, target: target), .unknown)
        // It did not run at the target, whose definition would have stayed: it was shut off here, or its host was down.
        case (.inactive, .absent): return .stayed(.stayedOff(vm: vm, source: host, target: target), isCertain: true)

        // Nothing is here.
        case (.absent, .running), (.absent, .migratingOut), (.absent, .paused): return .action(.discard)
        case (.absent, .pausedByMigration): return .open
        case (.absent, .inactive): return .moved(note: "\(vm) is on \(target), where it was shut off since")
        case (.absent, .absent): return .inDoubt(.runsNowhere(vm: vm, source: host, target: target), .unknown)

        // A migration is under way here: the inquiry waits for its end.
        case (.migratingOut, .running), (.migratingOut, .migratingOut), (.migratingOut, .paused),
            (.migratingOut, .pausedByMigration), (.migratingOut, .inactive), (.migratingOut, .absent):
            return .open
        }
    }

    /// Returns the conclusion while the target does not answer.
    ///
    /// The target cannot change that a VM runs here, although it may run it, too.
    func conclusion(here: DomainPresence, silence: String, host: HostName) -> Conclusion {
        switch here {
        case .running:
            let finding = FailureReason.Finding.stayedUnasked(
                vm: order.vmName,
                source: host,
                target: order.target,
                detail: silence
            )
            return .stayed(finding, isCertain: false)
        case .paused, .pausedByMigration, .inactive, .absent, .migratingOut: return .open
        }
    }
}
