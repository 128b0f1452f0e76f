// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The agreement of source and target on which of them may run the VM of a sealed move.
///
///     saving ─sealed▶ offered ─released▶ released ─restored▶ arrived
///                        │                   │
///                        └─withdrawn, ───────┴─declined▶ returned
///                          declined
///
/// Each host commits itself once, and only for itself. The source writes `released` or `withdrawn`, the target
/// `restored` or `declined`.
///
/// - The target restores only a released image.
/// - The source takes back only a VM that it has not released, or that the target has declined.
///
/// Therefore the order of the steps in the ledger does not matter. A host that cannot read the other's steps waits.
public struct Handover: Sendable, Equatable {
    public enum Phase: Sendable, Equatable {
        /// Only the source may run the VM.
        case saving
        /// Only the source may run the VM, until it releases the image; `isOpened`: the target has decrypted it and
        /// requests it.
        case offered(isOpened: Bool)
        /// Only the target may run the VM.
        case released
        case arrived(at: Instant)
        /// The VM belongs to the source again, for this reason.
        case returned(String)
    }

    /// The image as signed by its source; also `nil` if the source's report cannot be read here.
    public private(set) var image: SealedImage?
    /// SHA-256 of the file that the target has opened, in hexadecimal.
    public private(set) var openedDigest: String?
    private(set) var isReleased = false
    private var withdrawn: String?
    private var declined: String?
    private(set) var restored: Instant?

    /// Applies a step, which the caller has checked to be from the right host; returns whether it changed anything.
    mutating func apply(_ step: OrderStep) -> Bool {
        let before = self
        switch step {
        case .sealed(let image): self.image = self.image ?? image
        case .opened(let digest): openedDigest = openedDigest ?? digest
        case .released: isReleased = withdrawn == nil
        case .withdrawn(let reason): if !isReleased { withdrawn = withdrawn ?? reason }
        case .restored(let at): if declined == nil { restored = restored ?? at }
        case .declined(let reason): if restored == nil { declined = declined ?? reason }
        case .accepted, .prepared, .running, .asked, .answered, .done, .failed, .notUnderstood: break
        }
        return self != before
    }

    public var phase: Phase {
        if let reason = withdrawn ?? declined { return .returned(reason) }
        guard isReleased else { return image == nil ? .saving : .offered(isOpened: openedDigest != nil) }
        guard let restored else { return .released }
        return .arrived(at: restored)
    }

    /// The time from which the VM runs at the target.
    var arrivedAt: Instant? { if case .arrived(let at) = phase { at } else { nil } }

    public init() {}
}

extension OrderStep {
    /// Whether the step is part of a handover.
    var isOfHandover: Bool {
        switch self {
        case .sealed, .opened, .released, .restored, .declined, .withdrawn: true
        case .accepted, .prepared, .running, .asked, .answered, .done, .failed, .notUnderstood: false
        }
    }
}
