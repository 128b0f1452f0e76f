// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A controller's place in the succession of controllers on one ledger.
///
/// The lock on the ledger's folder keeps a second controller away, but a frozen process or a lost NFS lease can leave two
/// that believe to hold it. So each controller takes over with an epoch that is higher than all before it, and states it
/// in its orders. Agents refuse an order that follows a higher epoch in the ledger.
struct Succession: Sendable {
    /// Why this controller must give no more orders.
    enum Loss: Sendable, Equatable {
        /// Another controller has taken over with this epoch.
        case superseded(by: UInt64)
        case lock(reason: String)
    }

    /// The name under which this controller takes over; `nil` for a core without epochs, such as a view's.
    private var name: String?
    /// The highest epoch in the ledger.
    private(set) var highest: UInt64 = 0
    /// The epoch that this controller has claimed.
    private var claim: (epoch: UInt64, at: Instant)?
    private var triedAt: Instant?
    /// Whether the claim was read in the ledger, after everything that other controllers had written before it.
    private var isShown = false
    private(set) var loss: Loss?

    /// Time after which a claim that the ledger does not show is written again.
    private static let retry: Duration = .seconds(10)

    mutating func begin(as name: String) { self.name = name }

    /// Whether this controller may give orders now.
    var mayOrder: Bool { loss == nil && (name == nil || isShown) }

    /// The epoch that its orders state.
    var epoch: UInt64? { isShown ? claim?.epoch : nil }

    /// Returns the record with which this controller takes over, if it must be written now.
    ///
    /// The epoch is at least the time in seconds: retention may have removed all earlier ones, which running agents
    /// remember.
    mutating func takeOver(at instant: Instant) -> OrderRecord? {
        guard let name, loss == nil, !isShown else { return nil }
        // A clock that was set back must not delay the retry.
        if let triedAt, instant >= triedAt, instant - triedAt < Self.retry { return nil }
        triedAt = instant
        let next = highest == .max ? highest : highest + 1
        let claim = self.claim ?? (max(next, UInt64(max(0, instant.milliseconds / 1000))), instant)
        self.claim = claim
        return .takeOver(epoch: claim.epoch, controller: name, at: claim.at)
    }

    /// Takes a controller's claim from the ledger.
    mutating func read(_ epoch: UInt64, of controller: String) {
        highest = max(highest, epoch)
        guard let claim, loss == nil else { return }
        if controller == name {
            if epoch == claim.epoch { isShown = true }
        } else if epoch > claim.epoch || (isShown && epoch == claim.epoch) {
            loss = .superseded(by: epoch)
        } else if epoch == claim.epoch {
            // The other one was first: this controller needs a higher epoch.
            (self.claim, triedAt) = (nil, nil)
        }
    }

    /// Takes an order of a controller from the ledger.
    mutating func read(_ order: MigrationOrder) {
        guard order.issuer == .controller, let epoch = order.epoch else { return }
        highest = max(highest, epoch)
        if let claim, loss == nil, epoch > claim.epoch { loss = .superseded(by: epoch) }
    }

    mutating func loseLock(reason: String) { loss = loss ?? .lock(reason: reason) }
}

extension ControllerCore {
    /// Why this controller must end, as text; `nil` while it has its role.
    public var lossOfControl: String? {
        switch succession.loss {
        case nil: nil
        case .superseded(let epoch): "another controller has taken over (epoch \(epoch))"
        case .lock(let reason): "its lock on the ledger was lost: \(reason)"
        }
    }

    /// Takes over, if that is due.
    mutating func takeOver(at instant: Instant, effects: inout [Effect]) {
        if let record = succession.takeOver(at: instant) { effects.append(.takeOver(record)) }
    }

    /// Announces once that this controller has lost its role.
    mutating func announceLoss(effects: inout [Effect]) {
        guard !hasAnnouncedLoss, let reason = lossOfControl else { return }
        hasAnnouncedLoss = true
        effects.append(.announce(.lostControl(reason: reason)))
    }
}
