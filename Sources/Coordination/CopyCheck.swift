// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A target's check of its own copy, although the order's records have the VM elsewhere.
///
/// libvirt resumes the source's copy if the answer to the last step is lost, although the target may have taken over. The
/// source's agent then asks, and pauses its copy if the target answers that it runs the VM (`Inquiry`). If that agent
/// does not ask, the target pauses its own copy.
///
/// The two rules never pause both copies. A target that has answered that it runs the VM does not pause its copy, because
/// the source may have paused its own. A target that is pausing its copy does not answer before the pause has ended.
struct CopyCheck: Sendable {
    let order: MigrationOrder
    var startedAt: Instant
    var nextLook: Instant
    /// Whether an effect of the check is running.
    var isBusy = false
    /// Whether the copy here is being paused.
    var isPausing = false
    var hasAlerted = false

    init(_ order: MigrationOrder, at instant: Instant) {
        self.order = order
        startedAt = instant
        nextLook = instant
    }

    /// Requests the next look at this host's copy, if it is due.
    mutating func advance(at instant: Instant) -> [AgentCore.Effect] {
        guard !isBusy, instant >= nextLook else { return [] }
        isBusy = true
        nextLook = instant + (instant - startedAt < .seconds(120) ? .seconds(2) : .seconds(60))
        return [.look(order)]
    }

    mutating func pause() -> [AgentCore.Effect] {
        (isBusy, isPausing) = (true, true)
        return [.apply(.pause, order)]
    }

    /// Raises the alert once.
    mutating func alert(_ finding: FailureReason.Finding, _ place: OrderFailure.Whereabouts) -> [AgentCore.Effect] {
        guard !hasAlerted else { return [] }
        hasAlerted = true
        let failure = OrderFailure(.inDoubt, .inquiry(.moveFailed, finding), place)
        return [.announce(.duplicate(order.id, vm: order.vmName, failure))]
    }

    func shifted(by step: Duration) -> CopyCheck {
        var shifted = self
        shifted.startedAt = startedAt + step
        shifted.nextLook = nextLook + step
        return shifted
    }
}

/// What a target knows about its own copy after a move that has failed.
struct TargetCopy: Sendable {
    enum Origin: Sendable, CaseIterable {
        /// It has been here since this incarnation read the end of the order: the move brought it.
        case move
        /// This incarnation was started later: an operator may have moved the VM here manually since.
        case unknown
        /// It was absent since the end: another copy came.
        case later
    }

    /// `nil` before the first look after the end.
    var origin: Origin?
    /// When this incarnation read the end of the order.
    var endReadAt: Instant?
    /// Whether this host has answered that it runs the VM, and the source may still act on it.
    var hasAnswered = false
    /// Whether a newer move of the VM between other hosts has begun.
    var isOvertaken = false
    /// Whether nothing is left to do: the copy was paused once, and what follows is an operator's decision.
    var isSettled = false

    /// Applies whether the hypervisor knows the VM, after the end.
    mutating func observe(isHere: Bool, at instant: Instant) {
        guard isHere else {
            origin = .later
            return
        }
        guard origin == nil else { return }
        let isFresh = endReadAt.map { instant - $0 <= Self.fresh } ?? false
        origin = isFresh ? .move : .unknown
    }

    /// Age of an end up to which the first look after it shows the copy that the move brought.
    private static let fresh: Duration = .seconds(60)
}

/// Where an order's own records have its VM.
enum RecordedPlace: Sendable, CaseIterable {
    case notBegun, moving, target
    /// The source has reported that it runs the VM, and searches for a second copy.
    case source
    /// A record states that the source has the VM.
    case sourceStated
    /// The source has reported that it has the VM, which does not run.
    case sourceOff
    /// The source has reported that it runs the VM, and that the target has a copy that does not run.
    case sourceSettled
    /// The source has reported that both run the VM, and that it cannot pause its copy.
    case both
    case unknown
    /// A newer move of the VM between other hosts has begun.
    case overtaken

    init(_ state: OrderState, isOvertaken: Bool) {
        switch state.stage {
        case .submitted, .accepted, .prepared: self = .notBegun
        case .running: self = isOvertaken ? .overtaken : .moving
        case .done: self = isOvertaken ? .overtaken : .target
        case .failed where state.startedAt == nil: self = .notBegun
        case .failed where isOvertaken: self = .overtaken
        case .failed: self = Self(end: state)
        }
    }

    private init(end state: OrderState) {
        if state.statedEnd?.host == state.order.source || state.isSearchEnded {
            self = .sourceStated
            return
        }
        switch (state.failure?.reason, state.failure?.whereabouts) {
        case (.inquiry(_, .duplicateRuns), .unknown): self = .both
        case (.inquiry(_, .stayedOff), .at(state.order.source)): self = .sourceOff
        case (.inquiry(_, .runsHereCopyThere), .at(state.order.source)): self = .sourceSettled
        case (_, .at(state.order.source)): self = .source
        case (_, .at(state.order.target)): self = .target
        case (_, .at), (_, .unknown), (_, .notLooked), (_, nil): self = .unknown
        }
    }
}

/// The decision of a target about its own running copy.
enum CopyDecision: Sendable, Equatable {
    case keep
    /// It may run on both hosts, and only an operator or the source can decide.
    case alert
    /// Pause it, unless the source asks soon.
    case pauseUnlessAsked
    case pause

    /// Every case has its row: an omitted one would be decided by chance.
    ///
    /// `hasAnswered`: this host has answered the source that it runs the VM.
    init(_ place: RecordedPlace, _ origin: TargetCopy.Origin, hasAnswered: Bool) {
        switch (place, origin, hasAnswered) {
        // The order has created no copy here.
        case (.notBegun, .move, _), (.notBegun, .unknown, _), (.notBegun, .later, _): self = .keep
        // The source may be lost with its host: this may be the only copy. The controller alerts.
        case (.moving, .move, _), (.moving, .unknown, _), (.moving, .later, _): self = .keep
        // This copy is the VM.
        case (.target, .move, _), (.target, .unknown, _), (.target, .later, _): self = .keep
        // This copy is the only one that runs.
        case (.sourceOff, .move, _), (.sourceOff, .unknown, _), (.sourceOff, .later, _): self = .keep
        // The copy here was off when the source asked. An operator was alerted, and has started it since.
        case (.sourceSettled, .move, _), (.sourceSettled, .unknown, _), (.sourceSettled, .later, _): self = .keep
        // The source searches, and its result decides.
        case (.unknown, .move, _), (.unknown, .unknown, _), (.unknown, .later, _): self = .keep

        // The move's copy was gone since: an operator has brought the VM here.
        case (.source, .later, _), (.sourceStated, .later, _), (.both, .later, _), (.overtaken, .later, _):
            self = .keep
        // An operator may have brought it here while this agent was down: this may be the only copy.
        case (.source, .unknown, _), (.sourceStated, .unknown, _), (.both, .unknown, _), (.overtaken, .unknown, _):
            self = .alert

        // The source pauses its copy when it reads the answer. It may have done so and be unable to report it.
        case (.source, .move, true), (.sourceStated, .move, true): self = .alert
        // The source has reported that it runs the VM. As long as its agent lives, it asks within seconds.
        case (.source, .move, false): self = .pauseUnlessAsked
        // An operator, or the controller for a removed host, has decided.
        case (.sourceStated, .move, false): self = .pause
        // The source has tried, and has used up the earlier answer. After a newer one it may succeed.
        case (.both, .move, true): self = .alert
        case (.both, .move, false): self = .pause
        // The source's search has ended with its newer move, and the VM is there.
        case (.overtaken, .move, false): self = .pause
        // A host that searches may have paused its copy because of the answer.
        case (.overtaken, .move, true): self = .alert
        }
    }
}
