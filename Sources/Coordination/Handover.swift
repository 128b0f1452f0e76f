// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Who may let the VM of a sealed move run.
///
///     saving ─sealed▶ offered ─released▶ released ─restored▶ arrived
///                        │                   │
///                        └─withdrawn, ───────┴─declined▶ returned
///                          declined
///
/// Each host speaks for itself alone, once, and remembers what it has said: the source whether it lets go of the image
/// (`released`, or `withdrawn`), the target what became of it (`restored`, or `declined`). The target restores only what
/// was released, the source takes back only what it has not released or what the target has declined. So it does not
/// matter in which order the ledger has their words, nor that one host cannot read what the other wrote: it waits.
public struct Handover: Sendable, Equatable {
    public enum Phase: Sendable, Equatable {
        /// The source's alone.
        case saving
        /// The source's, until it lets go of it; `isOpened`: the target has it open, and asks for it.
        case offered(isOpened: Bool)
        /// The target's alone.
        case released
        case arrived(at: Instant)
        /// The source's again, for this reason.
        case returned(String)
    }

    /// As its source signs for it; `nil` as well where the source's word of it cannot be read here.
    public private(set) var image: SealedImage?
    /// SHA-256 of the file that the target has opened, in hexadecimal.
    public private(set) var openedDigest: String?
    private(set) var isReleased = false
    private var withdrawn: String?
    private var declined: String?
    private(set) var restored: Instant?

    /// Takes in a step of the host whose it is; returns whether that changed anything.
    mutating func apply(_ step: OrderStep) -> Bool {
        let before = self
        switch step {
        case .sealed(let image): self.image = self.image ?? image
        case .opened(let digest): openedDigest = openedDigest ?? digest
        case .released: isReleased = withdrawn == nil
        case .withdrawn(let reason): if !isReleased { withdrawn = withdrawn ?? reason }
        case .restored(let at): if declined == nil { restored = restored ?? at }
        case .declined(let reason): if restored == nil { declined = declined ?? reason }
        case .accepted, .prepared, .running, .done, .failed: break
        }
        return self != before
    }

    public var phase: Phase {
        if let reason = withdrawn ?? declined { return .returned(reason) }
        guard isReleased else { return image == nil ? .saving : .offered(isOpened: openedDigest != nil) }
        guard let restored else { return .released }
        return .arrived(at: restored)
    }

    /// Since when the VM runs at the target.
    var arrivedAt: Instant? { if case .arrived(let at) = phase { at } else { nil } }

    public init() {}
}

extension OrderStep {
    /// Whether it is a step of a handover.
    var isOfHandover: Bool {
        switch self {
        case .sealed, .opened, .released, .restored, .declined, .withdrawn: true
        case .accepted, .prepared, .running, .done, .failed: false
        }
    }
}
