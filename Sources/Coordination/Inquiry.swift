// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The search for the VM of an order whose end this agent did not observe.
///
/// Only libvirt knows where a VM runs. The inquiry asks both hypervisors until their answers allow a conclusion:
///
/// | here | at the target | conclusion |
/// |---|---|---|
/// | runs | runs | the copy here is paused at once; in doubt: an operator must check the disks |
/// | runs | anything else, or no answer | it stayed |
/// | paused by its owner | anything, or no answer | it stayed |
/// | migrating out | not asked | it is still moving: check again |
/// | paused by the migration, inactive or absent | runs | it moved; the leftovers here are removed |
/// | inactive or absent | paused by its owner | it moved; the leftovers here are removed |
/// | absent | inactive | it moved, and was shut down since |
/// | paused by the migration | absent, as on every other host | it stayed: resumed here |
/// | paused by the migration | inactive | in doubt: it may have run and stopped there since |
/// | inactive | inactive or absent | in doubt: shut down, or lost |
/// | absent | absent | in doubt: lost |
/// | anything else | anything else, or no answer | check again |
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
    }
    let order: MigrationOrder
    let cause: Cause
    let doubt: FailureReason.Doubt
    let startedAt: Instant
    /// Since when the VM's location is open.
    var openSince: Instant
    /// Until when a VM that runs here may still begin to move, without any sign of a migration.
    var quietUntil: Instant
    var nextCheck: Instant
    /// Whether an effect of the inquiry is running.
    var isAsking = false
    /// The action under way; its result decides the conclusion.
    var action: CopyAction?

    init(_ cause: Cause, of state: OrderState, at instant: Instant, quiet: Duration = .zero) {
        order = state.order
        self.cause = cause
        doubt =
            switch cause {
            case .restart: .agentRestarted
            case .lostAnswer(let failure): .answerLost(detail: failure.text)
            case .failed: .moveFailed
            }
        startedAt = state.startedAt ?? state.order.issuedAt
        openSince = instant
        quietUntil = instant + quiet
        nextCheck = instant
    }

    /// Returns the time until the next check; longer for a target that has been silent for long.
    func interval(at instant: Instant) -> Duration {
        guard cause == .failed else { return .seconds(2) }
        return instant - openSince < .seconds(600) ? .seconds(5) : .seconds(60)
    }

    func shifted(by step: Duration) -> Inquiry {
        var shifted = self
        shifted.openSince = openSince + step
        shifted.quietUntil = quietUntil + step
        shifted.nextCheck = nextCheck + step
        return shifted
    }
}

/// The conclusion from an observation.
enum Conclusion: Equatable {
    case stayed(FailureReason.Finding)
    /// `note`: the text for the report.
    case moved(note: String)
    case inDoubt(FailureReason.Finding)
    /// The action to execute first.
    case action(CopyAction)
    case stillMoving
    case open(String)
}

extension Inquiry {
    func conclusion(from observation: CopyObservation, host: HostName) -> Conclusion {
        let (vm, target) = (order.vmName, order.target)
        guard case .seen(let here) = observation.here else {
            guard case .silent(let words) = observation.here else { return .open("\(host) is not configured") }
            return .open(words)
        }
        if here == .migratingOut { return .stillMoving }
        let isHere = here == .running || here == .paused
        let stayed = Conclusion.stayed(.stayed(vm: vm, source: host))
        let there: DomainPresence
        switch observation.there {
        case .seen(let presence): there = presence
        case .notConfigured: return isHere ? stayed : .open("\(target) is not in this agent's configuration (hosts)")
        case .silent(let words):
            // The VM was observed here; a target that does not answer cannot change that.
            return isHere
                ? .stayed(.stayedUnasked(vm: vm, source: host, target: target, detail: words)) : .open(words)
        }
        switch (here, there) {
        case (.running, .running): return .action(.pause)
        case (.running, _), (.paused, _): return stayed
        // `.migratingOut`: the target has the VM and is moving it on.
        case (_, .running), (_, .migratingOut), (.absent, .paused), (.inactive, .paused): return .action(.discard)
        case (.absent, .inactive): return .moved(note: "\(vm) is on \(target), where it was shut off since")
        case (.pausedByMigration, .absent):
            switch observation.elsewhere {
            case .nowhere: return .action(.resume)
            case .on(let other): return .inDoubt(.pausedHereAndElsewhere(vm: vm, source: host, other: other))
            case .unknown(let words): return .open(words)
            }
        // The memory here may be older than the disks: only an operator may resume this copy.
        case (.pausedByMigration, .inactive):
            return .inDoubt(.pausedHereInactiveThere(vm: vm, source: host, target: target))
        case (.inactive, .absent), (.absent, .absent), (.inactive, .inactive):
            return .inDoubt(.runsNowhere(vm: vm, source: host, target: target))
        default: return .open("\(vm) is \(here) on \(host) and \(there) on \(target)")
        }
    }
}
