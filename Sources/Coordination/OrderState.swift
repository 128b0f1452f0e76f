// SPDX-License-Identifier: Apache-2.0
internal import Balancing
public import Fleet

/// The state of an order, from all ledger records about it.
///
///     submitted ─▶ accepted ─▶ prepared ─▶ running ─▶ done
///         │           │           │           │
///         └───────────┴───────────┴───────────┴─────▶ failed
///
/// Reports may repeat, and those of different hosts arrive in any order: a step back, and anything after the end, is
/// ignored. The source can correct a failure, in the order of its reports: when it has found a VM that was in doubt, or
/// has found out that the VM, or its definition, is at the target, too.
///
/// A record can end an order for a source that cannot, or settle a doubt (`StatedEnd`). Orders and reports are two
/// streams, which are read in any order: the end is kept in addition to the reports, and gives way to an end that a host
/// reports, unless that is a doubt.
public struct OrderState: Sendable, Equatable {
    public enum Stage: Int, Sendable, Comparable, CaseIterable {
        case submitted, accepted, prepared, running, done, failed
        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
        public var isFinal: Bool { self >= .done }
    }

    public let order: MigrationOrder
    /// The state according to the reports alone.
    private(set) var reported: Reported
    /// The end that a record states.
    private(set) var stated: StatedEnd?
    /// Whether this is the view of a sealed move's source: it has the VM only if the handover says so, not a record.
    var isDecidedByHandover = false
    /// The newest such record: it ends the source's search after the end that the source reports.
    private(set) var searchEnd: StatedEnd?
    /// When the source began to move the VM.
    public private(set) var startedAt: Instant?
    public private(set) var requirements: VMRequirements?
    /// Whether the target has consented.
    public private(set) var isPrepared = false
    /// Whether the target's agent sets the VM to start with it after the move.
    public private(set) var takesOverAutostart = false
    /// Whether the target's agent confirms that the VM's definition is durable there.
    public private(set) var confirmsDefinition = false
    public private(set) var progress: MigrationProgress?
    /// The target's public key for encrypting a sealed image.
    public private(set) var sealingKey: String?
    /// The handover of a sealed move.
    public private(set) var handover = Handover()
    /// Whether the source has taken a step that this version does not understand, or finds in its own journal that it has
    /// begun the move: the VM may be on its way.
    public private(set) var hasUnseenBeginning = false
    /// The search for a second copy; empty unless `apply` receives questions and answers.
    public private(set) var search = CopySearch()
    /// Why its cancellation was requested.
    public private(set) var cancellation: String?

    public init(_ order: MigrationOrder) {
        self.order = order
        reported = Reported(changedAt: order.issuedAt)
    }

    /// What the hosts have reported.
    struct Reported: Sendable, Equatable {
        var stage = Stage.submitted
        var changedAt: Instant
        var outcome: MigrationOutcome?
        var failure: OrderFailure?
        var evidence: Evidence?
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
            dirtyBytesPerSecond: progress?.dirtyPagesPerSecond.map { Double($0) * 4096 },
            refusal: lastingRefusal
        )
    }

    /// The target's refusal of the VM's definition, if its reason lasts.
    var lastingRefusal: LastingRefusal? {
        guard let failure, failure.kind == .refused, let definition = order.definition,
            let lasting = failure.preflight.first(where: { $0.host == order.target && $0.reason.lasts })
        else { return nil }
        return LastingRefusal(reason: lasting.reason, definition: definition)
    }

    /// Applies one report; returns whether it changed anything.
    @discardableResult
    public mutating func apply(_ report: OrderReport) -> Bool {
        guard report.order == order.id, isFromTheRightHost(report) else { return false }
        if report.step.isOfSearch {
            search.take(report, of: order)
            return false
        }
        if case .notUnderstood = report.step {
            if report.host == order.source { hasUnseenBeginning = true }
            return false
        }
        let stage = reported.stage
        if case .accepted(let requirements) = report.step, self.requirements == nil {
            // Also if it is read late: the target needs them until the end.
            self.requirements = requirements
            if stage >= .accepted { return true }
        }
        if case .prepared = report.step {
            isPrepared = true
            takesOverAutostart = report.takesOverAutostart == true
            confirmsDefinition = report.confirmsDefinition == true
        }
        // The target may have taken an order for expired whose beginning had not reached the ledger.
        if stage.isFinal, case .running = report.step { startedAt = startedAt ?? report.at }
        guard !stage.isFinal || corrects(report) else { return false }
        if report.step.isOfHandover {
            guard order.channel == .sealed, handover.apply(report.step) else { return false }
            reported.changedAt = report.at
            return true
        }
        let next = Stage(report.step)
        guard next > stage || next == .running || stage.isFinal else { return false }
        reported.stage = next
        reported.changedAt = report.at
        switch report.step {
        case .accepted(let requirements): self.requirements = requirements
        case .prepared(let key): sealingKey = key
        case .sealed, .opened, .released, .withdrawn, .restored, .declined, .asked, .answered, .notUnderstood: break
        case .running(let progress):
            startedAt = startedAt ?? report.at
            self.progress = progress
        case .done(let outcome, let evidence):
            reported.outcome = outcome
            reported.evidence = evidence
            reported.failure = nil
        case .failed(let failure):
            reported.failure = failure
            reported.evidence = failure.evidence
        }
        return true
    }

    /// Notes that this host, the source, finds in its journal that it has begun the move, whatever the ledger shows.
    mutating func noteBeginning() { hasUnseenBeginning = true }

    public mutating func cancel(reason: String) {
        if cancellation == nil { cancellation = reason }
    }

    /// Whether the order has ended in a doubt that its hosts still pursue.
    var isInDoubt: Bool {
        stage == .failed && mayHaveBegun && failure?.isUndecided == true
    }

    /// Whether its source has begun the move, or may have.
    var mayHaveBegun: Bool { startedAt != nil || hasUnseenBeginning }

    /// Whether the VM may be on its way now.
    var mayBeRunning: Bool { stage == .running || (hasUnseenBeginning && !stage.isFinal) }

    /// Whether its hosts still work on the order.
    var isOpen: Bool { !stage.isFinal || isInDoubt }

    private func corrects(_ report: OrderReport) -> Bool {
        let failure = reported.failure
        let isInDoubt = isReportedInDoubt
        if isInDoubt, report.step.isOfHandover { return true }
        guard reported.stage == .failed, report.host == order.source,
            report.step != failure.map({ .failed(failure: $0) })
        else { return false }
        switch report.step {
        // A target that could not read the ledger for long may have taken the order for expired.
        case .done: return isInDoubt || failure?.kind == .expired
        case .failed(let failure):
            // The target of an offline move must learn that it has a definition to remove.
            if order.isOffline, case .inquiry(_, .definedThere) = failure.reason { return true }
            // A VM without a definition at the target may stop there, and is then off here.
            if case .inquiry(_, .transientThere)? = reported.failure?.reason { return true }
            if reported.failure?.kind == .expired, failure.kind == .inDoubt { return true }
            return isInDoubt || failure.whereabouts == .at(order.target)
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
                || (report.host == order.target && reported.stage < (order.channel == .sealed ? .prepared : .running))
        }
    }
}

// MARK: stated ends

/// The end of an order according to a record, because its source cannot report it.
public struct StatedEnd: Codable, Sendable, Equatable {
    /// The source or the target: where the VM is.
    public var host: HostName
    public var at: Instant
    public var reason: String
    public init(host: HostName, at: Instant, reason: String) {
        self.host = host
        self.at = at
        self.reason = reason
    }
}

extension OrderState {
    /// Ends the order, unless a host reports its end; the newest record counts, and only with one of the order's hosts.
    ///
    /// Returns whether the order has ended by it.
    @discardableResult
    public mutating func end(_ end: StatedEnd) -> Bool {
        guard end.host == order.source || end.host == order.target else { return false }
        let end = StatedEnd(host: end.host, at: max(end.at, order.issuedAt), reason: end.reason)
        if isDecidedByHandover, end.host == order.source {
            if (searchEnd?.at ?? end.at) <= end.at { searchEnd = end }
            return false
        }
        if let stated, stated.at >= end.at { return false }
        stated = end
        return statedEnd != nil
    }

    /// The record that ended the order; `nil` if a host has reported the end, and not only a doubt.
    public var statedEnd: StatedEnd? { reported.stage.isFinal && !isReportedInDoubt ? nil : stated }

    /// The doubt that the source has reported, also if a record has ended it.
    var reportedDoubt: (failure: OrderFailure, at: Instant)? {
        guard isReportedInDoubt else { return nil }
        return reported.failure.map { ($0, reported.changedAt) }
    }

    var isReportedInDoubt: Bool {
        reported.stage == .failed && mayHaveBegun && reported.failure?.isUndecided == true
    }

    public var stage: Stage {
        guard let statedEnd else { return reported.stage }
        return statedEnd.host == order.target ? .done : .failed
    }

    public var changedAt: Instant { statedEnd?.at ?? reported.changedAt }

    public var outcome: MigrationOutcome? {
        guard let statedEnd else { return reported.outcome }
        guard statedEnd.host == order.target else { return nil }
        let note = FailureReason.Obstacle.endedForSource(order.source, reason: statedEnd.reason).text
        return MigrationOutcome(startedAt: startedAt ?? order.issuedAt, endedAt: statedEnd.at, note: note)
    }

    public var failure: OrderFailure? {
        guard let statedEnd else { return reported.failure }
        guard statedEnd.host == order.source else { return nil }
        let reason = FailureReason.Obstacle.endedForSource(order.source, reason: statedEnd.reason)
        return OrderFailure(.interrupted, .order(reason), .at(order.source))
    }

    public var evidence: Evidence? {
        guard let statedEnd else { return reported.evidence }
        guard statedEnd.host == order.target else { return nil }
        return Evidence(channel: order.channel, verdict: order.channel == .plain ? .unprotected : .unknown)
    }
}

extension OrderFailure {
    /// Whether the VM's place is not known.
    package var isUndecided: Bool { kind == .inDoubt && whereabouts == .unknown }
}
