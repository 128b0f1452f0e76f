// SPDX-License-Identifier: Apache-2.0
internal import Balancing
public import Fleet

/// The state of an order, from all ledger records about it.
///
///     submitted ─▶ accepted ─▶ prepared ─▶ running ─▶ done
///         │           │           │           │
///         └───────────┴───────────┴───────────┴─────▶ failed
///
/// Reports arrive in any order and may repeat: a step back, and anything after the end, is ignored. Only the source can
/// correct a failure: when it has found a VM that was in doubt, or has found out that the VM runs at the target, too.
public struct OrderState: Sendable, Equatable {
    public enum Stage: Int, Sendable, Comparable, CaseIterable {
        case submitted, accepted, prepared, running, done, failed
        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
        public var isFinal: Bool { self >= .done }
    }

    public let order: MigrationOrder
    public private(set) var stage = Stage.submitted
    public private(set) var changedAt: Instant
    /// When the source began to move the VM.
    public private(set) var startedAt: Instant?
    public private(set) var requirements: VMRequirements?
    /// Whether the target has consented.
    public private(set) var isPrepared = false
    public private(set) var progress: MigrationProgress?
    public private(set) var outcome: MigrationOutcome?
    public private(set) var failure: OrderFailure?
    public private(set) var evidence: Evidence?
    /// The target's public key for encrypting a sealed image.
    public private(set) var sealingKey: String?
    /// The handover of a sealed move.
    public private(set) var handover = Handover()
    /// Why its cancellation was requested.
    public private(set) var cancellation: String?

    public init(_ order: MigrationOrder) {
        self.order = order
        changedAt = order.issuedAt
    }

    public var move: Move { Move(vm: order.vm, source: order.source, target: order.target) }

    /// Returns the move as one that has ended.
    var pastMove: PastMove {
        var speed: Double?
        if let sent = outcome?.bytesTransferred, let time = outcome?.totalSeconds, time > 0 {
            speed = Double(sent) / time
        }
        return PastMove(
            move: move,
            channel: order.channel,
            endedAt: changedAt,
            succeeded: stage == .done,
            bytesPerSecond: speed,
            dirtyBytesPerSecond: progress?.dirtyPagesPerSecond.map { Double($0) * 4096 }
        )
    }

    /// Applies one report; returns whether it changed anything.
    @discardableResult
    public mutating func apply(_ report: OrderReport) -> Bool {
        guard report.order == order.id, !report.step.isOfSearch, isFromTheRightHost(report) else { return false }
        if case .accepted(let requirements) = report.step, self.requirements == nil {
            // Also if it is read late: the target needs them until the end.
            self.requirements = requirements
            if stage >= .accepted { return true }
        }
        if case .prepared = report.step { isPrepared = true }
        guard !stage.isFinal || corrects(report) else { return false }
        if report.step.isOfHandover {
            guard order.channel == .sealed, handover.apply(report.step) else { return false }
            changedAt = report.at
            return true
        }
        let next = Stage(report.step)
        guard next > stage || next == .running || stage.isFinal else { return false }
        stage = next
        changedAt = report.at
        switch report.step {
        case .accepted(let requirements): self.requirements = requirements
        case .prepared(let key): sealingKey = key
        case .sealed, .opened, .released, .withdrawn, .restored, .declined, .asked, .answered: break
        case .running(let progress):
            startedAt = startedAt ?? report.at
            self.progress = progress
        case .done(let outcome, let evidence):
            self.outcome = outcome
            self.evidence = evidence
            failure = nil
        case .failed(let failure):
            self.failure = failure
            evidence = failure.evidence
        }
        return true
    }

    public mutating func cancel(reason: String) {
        if cancellation == nil { cancellation = reason }
    }

    /// Whether the order has ended in a doubt that its hosts still pursue.
    var isInDoubt: Bool {
        guard stage == .failed, startedAt != nil, let failure else { return false }
        return failure.kind == .inDoubt && failure.whereabouts == .unknown
    }

    /// Whether its hosts still work on the order.
    var isOpen: Bool { !stage.isFinal || isInDoubt }

    private func corrects(_ report: OrderReport) -> Bool {
        if isInDoubt, report.step.isOfHandover { return true }
        guard stage == .failed, report.host == order.source, report.step != failure.map({ .failed(failure: $0) }) else {
            return false
        }
        switch report.step {
        // A target that could not read the ledger for long may have taken the order for expired.
        case .done: return isInDoubt || failure?.kind == .expired
        case .failed(let failure): return isInDoubt || failure.whereabouts == .at(order.target)
        default: return false
        }
    }

    /// Returns whether the host that wrote a report may report its step.
    ///
    /// The source reports all steps except the target's consent and the target's steps of a handover. Once a move runs,
    /// only the source may end it.
    ///
    /// A sealed order can be ended only by its source from the target's consent on: a failure from the target must not
    /// hide that the source has begun. The target declines instead.
    private func isFromTheRightHost(_ report: OrderReport) -> Bool {
        switch report.step.reporter {
        case .source: report.host == order.source
        case .target: report.host == order.target
        case .anyone: true
        case .either:
            report.host == order.source
                || (report.host == order.target && stage < (order.channel == .sealed ? .prepared : .running))
        }
    }
}
