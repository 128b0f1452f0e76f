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
    /// In words, for reports.
    let doubt: String
    let startedAt: Instant
    /// Since when it has been left open where the VM is.
    var openSince: Instant
    /// Until then a VM that runs here without a migration may yet begin to move.
    var quietUntil: Instant
    var nextLook: Instant
    /// Whether an effect of it is under way.
    var isAsking = false
    /// What is to be concluded once a remedy has been applied.
    var remedy: (Remedy, words: String)?

    init(_ cause: Cause, of life: OrderLife, at instant: Instant, quiet: Duration = .zero) {
        order = life.order
        self.cause = cause
        doubt =
            switch cause {
            case .restart: "the agent was restarted during the move"
            case .lostAnswer(let failure): failure.reason
            case .failed: "the move had failed"
            }
        startedAt = life.startedAt ?? life.order.issuedAt
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

/// What follows from a sighting.
enum Conclusion: Equatable {
    case stayed(String?)
    case moved(String)
    case inDoubt(String)
    /// Do this first.
    case remedy(Remedy, words: String)
    case stillMoving
    case open(String)
}

extension Inquiry {
    func conclusion(from sighting: Sighting, host: HostName) -> Conclusion {
        let (vm, target) = (order.vmName, order.target)
        guard case .seen(let here) = sighting.here else {
            guard case .silent(let words) = sighting.here else { return .open("\(host) is not configured") }
            return .open(words)
        }
        if here == .migratingOut { return .stillMoving }
        let isHere = here == .running || here == .paused
        let there: DomainPresence
        switch sighting.there {
        case .seen(let presence): there = presence
        case .notConfigured:
            return isHere ? .stayed(nil) : .open("\(target) is not in this agent's configuration (hosts)")
        case .silent(let words):
            // It was seen to run here; a target that is down does not change that.
            return isHere
                ? .stayed("\(target) could not be asked whether it has a copy (\(words))")
                : .open(words)
        }
        switch (here, there) {
        case (.running, .running): return .remedy(.pause, words: "")
        case (.running, _), (.paused, _): return .stayed(nil)
        // `.migratingOut`: the target has it and is sending it on.
        case (_, .running), (_, .migratingOut), (.absent, .paused), (.inactive, .paused):
            return .remedy(.discard, words: "\(vm) is on \(target)")
        case (.absent, .inactive): return .moved("\(target) has \(vm), shut off since")
        case (.pausedByMigration, .absent):
            switch sighting.elsewhere {
            case .nowhere: return .remedy(.resume, words: "\(target) has no copy, so it was resumed")
            case .on(let other):
                return .inDoubt("\(vm) is paused on \(host), and \(other) has it too: look which is the newer")
            case .unknown(let words): return .open(words)
            }
        case (.pausedByMigration, .inactive):
            // Its memory here may be older than its disks: never resumed without a person's judgement.
            return .inDoubt(
                "\(vm) is paused on \(host), and \(target) has it, not active: if it ran there since, start it there "
                    + "and 'virsh destroy' it here; else 'virsh resume' it here"
            )
        case (.inactive, .absent), (.absent, .absent), (.inactive, .inactive):
            return .inDoubt("neither \(host) nor \(target) runs \(vm): if it was not shut down, look for it")
        default: return .open("\(host) has it \(here), \(target) has it \(there)")
        }
    }
}
