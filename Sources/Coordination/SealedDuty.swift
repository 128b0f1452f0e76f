// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What one host of a sealed order keeps in mind in this life of its agent.
struct SealedDuty: Sendable {
    /// Since when its handover stands as it does, as far as this life has seen.
    var since: Instant
    /// Whether an earlier life of this agent had begun with it.
    var isInherited = false
    /// Whether the source's word that it begins is in the ledger, and has not been read there.
    var mayBegin = false
    /// Whether what follows has been said, and is to be read in the ledger before anything else.
    var hasSaid = false
    /// Whether the image lies open here, as the target, and may be restored once.
    var hasOpened = false
    var nextTry: Instant
    /// Why the source takes back what it has not offered.
    var reason: String?

    init(since: Instant, isInherited: Bool = false) {
        self.since = since
        self.isInherited = isInherited
        nextTry = since
    }

    /// The ledger has the next step.
    mutating func turn(at instant: Instant) {
        (since, nextTry, hasSaid) = (instant, instant, false)
    }

    func shifted(by step: Duration) -> SealedDuty {
        var shifted = self
        shifted.since = since + step
        shifted.nextTry = nextTry + step
        return shifted
    }
}
