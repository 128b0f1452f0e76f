// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// What one host of a sealed move does between its beginning and its end; who may run the VM, `Handover` says.
///
/// The source saves and offers, the target opens and asks for it, the source lets go, the target restores; the source
/// removes what is left and reports. Whatever the target cannot do it declines, and the VM goes back. A target that is
/// silent before the source has let go loses its turn; one that is silent after it is waited for, since nobody else can
/// say whether it has the VM running.
struct SealedMove: Sendable {
    /// Since when its handover stands as it does, as far as this life of the agent has seen.
    private(set) var since: Instant
    /// Whether an effect of it is under way.
    var isBusy: Bool
    /// Whether this host's notes are to be looked up before anything else.
    var mustRecall: Bool
    /// As looked up.
    var recollection: Recollection?
    /// Whether an earlier life of this agent had begun with it.
    let isInherited: Bool
    /// Whether a save that was asked for may still come.
    var mayBeSaved: Bool
    /// When the image was opened here, at the target; `nil` once its restoring is under way: it is restored once.
    var openedAt: Instant?
    /// Whether it is certain, though an earlier life let the VM run here, that it did not.
    var hasDiscarded = false
    /// Whether people have been told that nobody can say what became of the VM.
    var hasWarned = false
    var nextTry: Instant
    /// Why the source takes back what it has not offered.
    var reason: String?

    init(since: Instant, isBusy: Bool = false) {
        self.since = since
        self.isBusy = isBusy
        isInherited = false
        mustRecall = false
        mayBeSaved = false
        nextTry = since
    }

    /// Takes over an order from an earlier life of this agent; `nil` if there is nothing to take over.
    init?(inheriting state: OrderState, host: HostName, at instant: Instant) {
        guard state.order.channel == .sealed else { return nil }
        // What the source has accepted the target may not have seen before. What the source itself has done may be
        // missing in the ledger altogether.
        let isNewToTarget = state.stage <= .accepted && state.handover == Handover()
        guard state.order.source == host || !isNewToTarget else { return nil }
        since = instant
        isBusy = false
        isInherited = true
        mustRecall = true
        mayBeSaved = true
        nextTry = instant
    }

    /// The handover has moved on.
    mutating func turn(at instant: Instant) { (since, nextTry) = (instant, instant) }

    func shifted(by step: Duration) -> SealedMove {
        var shifted = self
        shifted.since = since + step
        shifted.nextTry = nextTry + step
        shifted.openedAt = openedAt.map { $0 + step }
        return shifted
    }

    /// Between two tries of one effect.
    private static let pause: Duration = .seconds(2)

    mutating func attempt(_ effect: AgentCore.Effect, _ context: OrderContext) -> [OrderAction] {
        isBusy = true
        nextTry = context.now + Self.pause
        return [.effect(effect)]
    }

    /// Records this host's commitment, unless it is bound otherwise, and advances the order.
    mutating func say(_ step: OrderStep, _ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        var handover = state.handover
        guard handover.apply(step) else { return [] }
        turn(at: context.now)
        return [.report(step), .advance]
    }
}

// MARK: what is to be done now

extension SealedMove {
    mutating func advance(_ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        let isSource = state.order.source == context.host
        let mayRunHere = mustRecall || recollection?.hasStarted == true
        if !isSource, !mayRunHere, state.isUnheardOf(at: context.now, silence: context.limits.silence) {
            return [.report(.declined(reason: FailureReason.Obstacle.sourceSilent(state.order.source).text))]
        }
        guard !isBusy, context.now >= nextTry else { return [] }
        if mustRecall { return attempt(.recall(state.order), context) }
        return isSource ? advanceSource(state, context) : advanceTarget(state, context)
    }

    private mutating func advanceSource(_ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        let (host, target) = (context.host, state.order.target)
        switch state.handover.phase {
        case .saving, .returned: return attempt(.takeBack(state.order), context)
        case .offered(let isOpened):
            if let reason = state.cancellation {
                return say(.withdrawn(reason: "cancelled: \(reason)"), state, context)
            } else if isInherited {
                // What that life was about to say is not known, so the image is let go by none but the life that sealed.
                let reason = "the agent of \(host) was restarted before it had released the image"
                return say(.withdrawn(reason: reason), state, context)
            } else if context.now - since > Self.patience(state.handover.image, context.limits) {
                return say(.withdrawn(reason: "\(target) did not take the image in time"), state, context)
            }
            return isOpened ? attempt(.release(state.order), context) : []
        case .released where context.mutations.contains(.takesBackReleased):
            return attempt(.takeBack(state.order), context)
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
        if let openedAt {
            let isLetGo = state.handover.isReleased || context.mutations.contains(.restoresUnreleased)
            if context.now - openedAt > context.limits.handover {
                // Whoever lets go later reads this, and so does the person who was called meanwhile.
                let reason = "\(state.order.source) did not release the image in time"
                return say(.declined(reason: reason), state, context)
            }
            guard isLetGo else { return [] }
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

    /// How long the target may take to open an image: at least 20 MB/s are expected of the storage.
    private static func patience(_ image: SealedImage?, _ limits: AgentCore.Limits) -> Duration {
        limits.handover + .seconds(Int64(min((image?.bytes ?? 0) / 20_000_000, 86_400)))
    }
}

// MARK: what an order's life says of its sealed move

extension OrderState {
    /// Why a sealed order does not begin now.
    var reasonNotToSeal: FailureReason.Obstacle? {
        guard order.channel == .sealed else { return nil }
        if sealingKey == nil { return .noSealingKey(order.target) }
        if case .returned(let reason) = handover.phase { return .handedBack(reason: reason) }
        return nil
    }

    /// Whether the VM is the source's again: withdrawn or declined.
    var isReturned: Bool { if case .returned = handover.phase { true } else { false } }

    /// Whether a host has no more to do in it.
    func isHandoverOver(for host: HostName) -> Bool {
        stage.isFinal || (order.target == host && hasTargetSpoken)
    }

    /// Whether the target has said how it ended for it, whatever is read of the source.
    private var hasTargetSpoken: Bool { isReturned || handover.restored != nil }

    /// Whether it is known that the VM runs, or that this host's image is not the one that it will run from.
    func isImageUseless(for host: HostName) -> Bool {
        if stage == .done || failure?.whereabouts == .at(order.source) { return true }
        return order.target == host && (hasTargetSpoken || (stage.isFinal && failure?.kind != .inDoubt))
    }
}

/// What this host has noted on its own disk of a sealed order, and how its VM stands here.
public struct Recollection: Codable, Sendable, Equatable {
    /// As the source: the save was begun.
    public var hasBegun: Bool
    /// As the source: the image was let go.
    public var hasReleased: Bool
    /// As the target: the VM was let run here, or was about to be.
    public var hasStarted: Bool
    public var presence: DomainPresence
    public init(hasBegun: Bool, hasReleased: Bool, hasStarted: Bool, presence: DomainPresence) {
        self.hasBegun = hasBegun
        self.hasReleased = hasReleased
        self.hasStarted = hasStarted
        self.presence = presence
    }
}
