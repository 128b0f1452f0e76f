// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Who may let the VM of a sealed move run: what both hosts conclude, alike, from the ledger's order of their steps.
///
///     saving ─sealed▶ offered ─restoring▶ claimed ─restored▶ arrived
///                        │                   │
///                        └─withdrawn, ───────┴─declined▶ returned
///                          declined
///
/// The first of `restoring` and `withdrawn` decides; the other, whenever it was written, changes nothing. So neither acts
/// on what it has said before it has read it in the ledger, and steps count only in the ledger's order.
public enum Handover: Sendable, Equatable {
    /// The source's alone.
    case saving
    case offered(SealedImage)
    /// The target's alone.
    case claimed(SealedImage)
    case arrived(SealedImage, at: Instant)
    /// The source's again, for this reason.
    case returned(String)

    /// Takes in a step as read from the ledger; returns whether it changed anything.
    mutating func apply(_ step: OrderStep) -> Bool {
        switch (self, step) {
        case (.saving, .sealed(let image)): self = .offered(image)
        case (.offered(let image), .restoring): self = .claimed(image)
        case (.offered, .withdrawn(let reason)), (.offered, .declined(let reason)), (.claimed, .declined(let reason)):
            self = .returned(reason)
        case (.claimed(let image), .restored(let at)): self = .arrived(image, at: at)
        default: return false
        }
        return true
    }

    var image: SealedImage? {
        switch self {
        case .offered(let image), .claimed(let image), .arrived(let image, _): image
        case .saving, .returned: nil
        }
    }
}

extension OrderStep {
    /// Whether it is a step of a handover, which counts only where the ledger has it.
    var isOfHandover: Bool {
        switch self {
        case .sealed, .restoring, .restored, .declined, .withdrawn: true
        case .accepted, .prepared, .running, .done, .failed: false
        }
    }
}
