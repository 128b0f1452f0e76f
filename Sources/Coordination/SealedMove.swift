// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Carries out one host's part of a running sealed move; `Handover` decides which host may run the VM.
///
///     source: save, offer          release          remove the leftovers, report
///     target:              open             restore
///
/// If a step fails on the target, it declines and the VM returns to the source. If the target is silent before the
/// release, the source withdraws the image. If it is silent after the release, the source waits, because only the
/// target knows whether the VM runs there. After `Limits.doubt` the order ends in doubt.
///
/// Both hosts pursue the doubt. The target restores nothing any more, and states what its hypervisor shows. The source
/// takes the VM back if the target has declined and no host has had it since (`lookedInDoubt`). A VM that an operator has
/// started stays where it is.
struct SealedMove: Sendable {
    /// Since when the handover is in its present state, as far as this incarnation has observed.
    private(set) var since: Instant
    /// The steps of this host's clock since this incarnation follows the move.
    private var clockStep: Duration = .zero
    /// Whether an effect of the move is running.
    var isBusy: Bool
    /// Whether this host's journal must be read before anything else.
    var mustRecall: Bool
    /// The journal entries that were read.
    var recollection: Recollection?
    /// Whether an earlier incarnation of this agent began the move.
    let isInherited: Bool
    /// Whether a requested save may still take effect.
    var mayBeSaved: Bool
    /// When the target opened the image; `nil` from the start of the restore, because an image is restored only once.
    var openedAt: Instant?
    /// Whether the target removed a copy that never ran, although the journal states that the VM was started.
    var hasDiscarded = false
    /// Whether the alert that the VM is gone has been raised.
    var hasWarned = false
    var nextTry: Instant
    /// Why the source takes back a VM that it has not offered.
    var reason: String?
    /// As the source in doubt: the open question to the other hosts.
    var question: Inquiry.Question?
    /// As the source in doubt: when the hosts may be asked again; `nil`: at any time.
    var asksFrom: Instant?
    /// As the source: whether another host has had the VM since (`OrderWork.noteElsewhere`).
    var isSeenElsewhere = false

    init(since: Instant, isBusy: Bool = false) {
        self.since = since
        self.isBusy = isBusy
        isInherited = false
        mustRecall = false
        mayBeSaved = false
        nextTry = since
    }

    /// Takes over an order from an earlier incarnation of this agent; `nil` if there is nothing to take over.
    init?(inheriting state: OrderState, host: HostName, at instant: Instant) {
        guard state.order.channel == .sealed else { return nil }
        // The previous incarnation of the target may not have seen an accepted order. The source's own actions may be
        // missing from the ledger.
        let isNewToTarget = state.stage <= .accepted && state.handover == Handover()
        guard state.order.source == host || !isNewToTarget else { return nil }
        since = instant
        isBusy = false
        isInherited = true
        mustRecall = true
        mayBeSaved = true
        nextTry = instant
    }

    /// Restarts the waits after a change of the handover.
    mutating func turn(at instant: Instant) { (since, nextTry) = (instant, instant) }

    func shifted(by step: Duration) -> SealedMove {
        var shifted = self
        shifted.since = since + step
        shifted.clockStep = clockStep + step
        shifted.nextTry = nextTry + step
        shifted.openedAt = openedAt.map { $0 + step }
        shifted.asksFrom = asksFrom.map { $0 + step }
        // Its time identifies the question in the ledger.
        shifted.question = nil
        return shifted
    }

    /// Pause between two attempts of an effect: at first, and in doubt.
    private static let pauses: (first: Duration, inDoubt: Duration) = (.seconds(2), .seconds(30))

    mutating func attempt(_ effect: AgentCore.Effect, _ context: OrderContext) -> [OrderAction] {
        isBusy = true
        let isLong = context.now - since > context.limits.doubt
        nextTry = context.now + (isLong ? Self.pauses.inDoubt : Self.pauses.first)
        return [.effect(effect)]
    }

    /// Reports once that the VM's place is not known; the move goes on.
    func doubt(_ failure: OrderFailure, _ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        guard !state.stage.isFinal, context.now - since > context.limits.doubt else { return [] }
        var failure = failure
        (failure.kind, failure.whereabouts) = (.inDoubt, .unknown)
        return [.end(.failure(failure))]
    }

    /// Records this host's commitment, unless it is bound otherwise, and advances the order.
    mutating func say(_ step: OrderStep, _ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        var handover = state.handover
        guard handover.apply(step) else { return [] }
        turn(at: context.now)
        return [.report(step), .advance]
    }
}

// MARK: next step

extension SealedMove {
    mutating func advance(_ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        let isSource = state.order.source == context.host
        let mayRunHere = mustRecall || recollection?.hasStarted == true
        let silence = context.limits.silence
        if !isSource, !mayRunHere,
            state.isSilent(since: since, at: context.now, silence: silence, clockStep: clockStep)
        {
            return [.report(.declined(reason: FailureReason.Obstacle.sourceSilent(state.order.source).text))]
        }
        if !isSource, !mayRunHere, savesForTooLong(state, context) {
            return say(.declined(reason: "\(state.order.source) did not offer the image in time"), state, context)
        }
        guard !isBusy, context.now >= nextTry else { return [] }
        if mustRecall { return attempt(.recall(state.order), context) }
        return isSource ? advanceSource(state, context) : advanceTarget(state, context)
    }

    /// Returns whether a source has had more time than it may take to save a VM and to encrypt its image.
    ///
    /// Its agent may have died during the save. Without this limit, the target would reserve the VM's memory forever.
    private func savesForTooLong(_ state: OrderState, _ context: OrderContext) -> Bool {
        guard state.stage == .running, case .saving = state.handover.phase else { return false }
        let begun = max(state.order.latestBeginning + clockStep, since)
        return context.now > begun + context.limits.migration * 2 + context.limits.handover
    }

    private mutating func advanceSource(_ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        let (host, target) = (context.host, state.order.target)
        switch state.handover.phase {
        case .saving where state.isInDoubt, .offered where state.isInDoubt, .returned where state.isInDoubt:
            return attempt(.look(state.order), context)
        case .saving, .returned: return attempt(.takeBack(state.order, startsWithHost: state.startsWithHost), context)
        case .offered(let isOpened):
            if let reason = state.cancellation {
                return say(.withdrawn(reason: "cancelled: \(reason)"), state, context)
            } else if isInherited {
                // The commitment that the previous incarnation was about to make is unknown. Only the incarnation that
                // sealed an image may release it.
                let reason = "the agent of \(host) was restarted before it had released the image"
                return say(.withdrawn(reason: reason), state, context)
            } else if context.now - since > Self.patience(state.handover.image, context.limits) {
                return say(.withdrawn(reason: "\(target) did not take the image in time"), state, context)
            }
            return isOpened ? attempt(.release(state.order), context) : []
        case .released where context.mutations.contains(.takesBackReleased):
            return attempt(.takeBack(state.order, startsWithHost: state.startsWithHost), context)
        case .released:
            guard context.now - since > context.limits.handover else { return [] }
            return attempt(.look(state.order), context)
        case .arrived: return attempt(.apply(.discard, state.order), context)
        }
    }

    private mutating func advanceTarget(_ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        switch state.handover.phase {
        case .arrived, .returned: return []
        case .saving, .offered, .released: break
        }
        if state.isInDoubt {
            openedAt = nil
            return attempt(.look(state.order), context)
        }
        if let openedAt {
            let isReleased = state.handover.isReleased || context.mutations.contains(.restoresUnreleased)
            if context.now - openedAt > context.limits.handover {
                // A source that releases later reads this reason, and so does the operator.
                let reason = "\(state.order.source) did not release the image in time"
                return say(.declined(reason: reason), state, context)
            }
            guard isReleased else { return [] }
            self.openedAt = nil
            return attempt(.restore(state.order), context)
        } else if state.handover.isReleased || recollection?.hasStarted == true {
            return attempt(.look(state.order), context)
        } else if isInherited {
            let reason = "the agent of \(context.host) was restarted and lost the image's key"
            return say(.declined(reason: reason), state, context)
        } else if let image = state.handover.image {
            return attempt(.unseal(state.order, image), context)
        }
        return []
    }

    /// Returns how long the target may take to open an image, at a storage rate of at least 20 MB/s.
    private static func patience(_ image: SealedImage?, _ limits: AgentCore.Limits) -> Duration {
        limits.handover + .seconds(Int64(min((image?.bytes ?? 0) / 20_000_000, 86_400)))
    }
}

// MARK: order state

extension OrderState {
    /// The reason why a sealed order must not begin.
    var reasonNotToSeal: FailureReason.Obstacle? {
        guard order.channel == .sealed else { return nil }
        if sealingKey == nil { return .noSealingKey(order.target) }
        if case .returned(let reason) = handover.phase { return .handedBack(reason: reason) }
        return nil
    }

    var startsWithHost: Bool { requirements?.startsWithHost == true }

    /// Whether the VM belongs to the source again: withdrawn or declined.
    var isReturned: Bool { if case .returned = handover.phase { true } else { false } }

    /// Returns whether a host's part of the handover is over.
    func isHandoverOver(for host: HostName) -> Bool {
        !isOpen || (order.target == host && hasTargetReported)
    }

    /// Whether the target has committed itself, or the source has withdrawn.
    private var hasTargetReported: Bool { isReturned || handover.restored != nil }

    /// Returns whether the order has ended with the VM on this host, its source.
    func endedHere(_ host: HostName) -> Bool {
        order.source == host && stage == .failed && failure?.whereabouts == .at(host)
    }

    /// Returns whether the VM is known to run, or is known not to be started from this host's image.
    func isImageUseless(for host: HostName) -> Bool {
        // No agent has observed where the VM runs, and this may be its only image.
        if statedEnd != nil { return handover.restored != nil }
        if stage == .done || failure?.whereabouts == .at(order.source) { return true }
        return order.target == host && (hasTargetReported || (stage.isFinal && failure?.kind != .inDoubt))
    }
}

/// This host's journal entries about a sealed order, and the present state of its VM here.
public struct Recollection: Codable, Sendable, Equatable {
    /// As the source: the save has begun.
    public var hasBegun: Bool
    /// As the source: the image was released.
    public var hasReleased: Bool
    /// The VM was started here from its image, or was about to be: restored at the target, or taken back at the source.
    public var hasStarted: Bool
    public var presence: DomainPresence
    public init(hasBegun: Bool, hasReleased: Bool, hasStarted: Bool, presence: DomainPresence) {
        self.hasBegun = hasBegun
        self.hasReleased = hasReleased
        self.hasStarted = hasStarted
        self.presence = presence
    }
}
