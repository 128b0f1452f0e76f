// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The search for the VM of an order whose end this agent did not see.
///
/// libvirt alone knows where a VM runs, so both hypervisors are asked until they agree:
///
/// | here | at the target | so |
/// |---|---|---|
/// | runs | runs | the copy here is paused at once; in doubt: a person must judge the disks |
/// | runs | anything else, or silent | it stayed |
/// | paused by the migration, or not active | runs | it moved; what is left here is removed |
/// | not active | paused by its owner | it moved; what is left here is removed |
/// | unknown | defined, not active | it moved, and was shut down since |
/// | paused by the migration | unknown, as to every other host | it stayed: resumed here |
/// | paused by the migration | defined, not active | in doubt: it may have run and stopped there since |
/// | defined, not active | not active | in doubt: shut down, or lost |
/// | unknown | unknown | in doubt: lost |
/// | anything else | silent, or anything else | look again |
struct Inquiry: Sendable {
    enum Cause: Sendable, Equatable {
        /// An earlier life of this agent had begun the move.
        case restart
        /// The hypervisor's call ended and did not say where the VM is.
        case lostAnswer(OrderFailure)
        /// The move failed and the VM runs here; libvirt resumes the source when the answer to its last step is lost,
        /// though the target may have taken over.
        case failed
    }
    let order: MigrationOrder
    let cause: Cause
    let doubt: FailureReason.Doubt
    let startedAt: Instant
    /// Since when it has been left open where the VM is.
    var openSince: Instant
    /// Until then a VM that runs here without a migration may yet begin to move.
    var quietUntil: Instant
    var nextLook: Instant
    /// Whether an effect of it is under way.
    var isAsking = false
    /// What is being done, to be concluded from once it has been.
    var remedy: CopyAction?

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
        nextLook = instant
    }

    /// Between two looks; a target that is silent for long is asked less often.
    func interval(at instant: Instant) -> Duration {
        guard cause == .failed else { return .seconds(2) }
        return instant - openSince < .seconds(600) ? .seconds(5) : .seconds(60)
    }

    func shifted(by step: Duration) -> Inquiry {
        var shifted = self
        shifted.openSince = openSince + step
        shifted.quietUntil = quietUntil + step
        shifted.nextLook = nextLook + step
        return shifted
    }
}

/// What follows from an observation.
enum Conclusion: Equatable {
    case stayed(FailureReason.Finding)
    /// `note`: for the report, in words.
    case moved(note: String)
    case inDoubt(FailureReason.Finding)
    /// Do this first.
    case remedy(CopyAction)
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
            // It was seen to run here; a target that is down does not change that.
            return isHere
                ? .stayed(.stayedUnasked(vm: vm, source: host, target: target, detail: words)) : .open(words)
        }
        switch (here, there) {
        case (.running, .running): return .remedy(.pause)
        case (.running, _), (.paused, _): return stayed
        // `.migratingOut`: the target has it and is sending it on.
        case (_, .running), (_, .migratingOut), (.absent, .paused), (.inactive, .paused): return .remedy(.discard)
        case (.absent, .inactive): return .moved(note: "\(vm) is on \(target), where it was shut off since")
        case (.pausedByMigration, .absent):
            switch observation.elsewhere {
            case .nowhere: return .remedy(.resume)
            case .on(let other): return .inDoubt(.pausedHereAndElsewhere(vm: vm, source: host, other: other))
            case .unknown(let words): return .open(words)
            }
        // Its memory here may be older than its disks: never resumed without a person's judgement.
        case (.pausedByMigration, .inactive):
            return .inDoubt(.pausedHereInactiveThere(vm: vm, source: host, target: target))
        case (.inactive, .absent), (.absent, .absent), (.inactive, .inactive):
            return .inDoubt(.runsNowhere(vm: vm, source: host, target: target))
        default: return .open("\(vm) is \(here) on \(host) and \(there) on \(target)")
        }
    }
}
