// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// What one host of a sealed order keeps in mind in this life of its agent.
struct SealedDuty: Sendable {
    /// Since when its handover stands as it does, as far as this life has seen.
    var since: Instant
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

    init(since: Instant, isInherited: Bool = false) {
        self.since = since
        self.isInherited = isInherited
        mustRecall = isInherited
        mayBeSaved = isInherited
        nextTry = since
    }

    mutating func turn(at instant: Instant) {
        (since, nextTry) = (instant, instant)
    }

    func shifted(by step: Duration) -> SealedDuty {
        var shifted = self
        shifted.since = since + step
        shifted.nextTry = nextTry + step
        shifted.openedAt = openedAt.map { $0 + step }
        return shifted
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
