// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// An agent's data about an order whose source or target it is.
struct OrderWork: Sendable {
    /// The agent's present activity for the order; there is only one at a time.
    enum Activity: Sendable {
        /// The agent waits for the other host or for a time, or the order has ended.
        case idle
        /// The source reads the VM's requirements.
        case readingRequirements
        /// The step `running` is being written to the ledger; the move begins when it has been written.
        case beginning
        case migrating
        /// The move has succeeded, and the target must confirm the VM's definition.
        case confirming(Confirmation)
        /// The agent searches for the VM, also after the end of an order that may have left a second copy.
        case inquiry(Inquiry)
        case sealed(SealedMove)
        /// The target of a failed move checks whether its copy is a second one.
        case checkingCopy(CopyCheck)
    }

    var state: OrderState
    /// Its place in the ledger, which decides which of two orders is newer; clocks do not.
    let place: Int
    /// The epoch of another controller that had taken over before the order's record.
    var supersededBy: UInt64?
    /// When this incarnation read the order.
    var readAt: Instant
    var activity = Activity.idle
    /// The steps of this host's clock since it read the order, or since it began to move the VM.
    var clockStep: Duration = .zero
    /// Whether the hypervisor is being asked to cancel its migration.
    var isCancelling = false
    /// As its source: the observations made when the order was accepted.
    var preparation: Preparation?
    /// As its source, before it accepts the order: the order for which this one last waited.
    var waitsFor: OrderID?
    /// As its source: when the order was accepted.
    var acceptedAt: Instant?
    var progressWritten: Instant?
    /// The target of the newest begun move of the VM between other hosts after this order.
    var movedTo: HostName?
    /// As its source: the target's newest answer about the VM, and when its question was asked.
    var answer: (askedAt: Instant, presence: DomainPresence)?
    /// As its target: whether the check that this host can take the VM has begun.
    var isTargetChecked = false
    /// As its target: whether its gate may be open.
    var mayHaveGateOpen = false
    /// As its target: what it knows about its copy after a failed move.
    var copy = TargetCopy()
    /// Whether the VM's autostart has been set on this host.
    var autostart = Retry.open
    /// Whether this incarnation has searched for the VM, and must set its autostart afterwards, however long that takes.
    var owesAutostart = false
    /// As its source: whether it is reported that no agent sets the VM's autostart.
    var hasReportedAutostart = false
    /// As the target of a failed offline move: whether the definition that it left here has been removed.
    var withdrawal = Retry.open
    /// As the source of a move that is done: whether the VM is rightly on this host again, for instance moved by hand.
    var isReturnAccepted = false
    /// As the source of a sealed move: whether the VM was on another host since, so that its image may be older than its
    /// disks.
    var isSeenElsewhere = false
    /// Whether this host may hold data of a sealed move: a key, a decrypted image, the encrypted file.
    var mayHoldImage = false

    init(_ state: OrderState, place: Int, readAt: Instant) {
        self.state = state
        self.place = place
        self.readAt = readAt
    }

    var order: MigrationOrder { state.order }

    /// Whether the order waits for the result of a running effect.
    var isBusy: Bool {
        switch activity {
        case .readingRequirements, .beginning, .migrating, .confirming: true
        case .sealed(let move): move.isBusy
        case .idle, .inquiry, .checkingCopy: false
        }
    }

    var isBeginning: Bool { if case .beginning = activity { true } else { false } }
    var isMigrating: Bool { if case .migrating = activity { true } else { false } }
    /// Whether the order has failed, and the source searches for a second copy at the target.
    var isSeekingDuplicate: Bool {
        if case .inquiry(let inquiry) = activity { inquiry.cause == .failed } else { false }
    }
    /// Whether its next step is still to come: it has not ended, or an operator has ended it too early.
    var isPending: Bool {
        if case .confirming = activity { return true }
        return !state.stage.isFinal || isSealedDoubt
    }
    var isInquiring: Bool { if case .inquiry = activity { true } else { false } }

    /// Returns whether the search for the VM forbids the controller's newer order.
    func isSearching(against newer: MigrationOrder, at instant: Instant) -> Bool {
        guard case .inquiry(let inquiry) = activity else { return isSealedDoubt }
        return !inquiry.permits(newer, at: instant)
    }

    /// Ends the activity after its result; another activity that has begun since continues.
    mutating func finishReading() { if case .readingRequirements = activity { activity = .idle } }
    mutating func finishMigrating() { if case .migrating = activity { activity = .idle } }
    mutating func finishInquiry() { if case .inquiry = activity { activity = .idle } }

    mutating func beginSealed(_ move: SealedMove) {
        activity = .sealed(move)
        mayHoldImage = true
    }

    /// Records that no leftovers of the order are on this host.
    mutating func finishSealed() {
        if case .sealed = activity { activity = .idle }
        mayHoldImage = false
    }

    /// Ends the order's state machine, which has no more steps.
    mutating func finishMachine() {
        switch activity {
        case .inquiry, .checkingCopy: activity = .idle
        case .sealed: finishSealed()
        case .idle, .readingRequirements, .beginning, .migrating, .confirming: break
        }
    }

    /// Whether a sealed move goes on although its order has ended in doubt.
    var isSealedDoubt: Bool { if case .sealed = activity { state.isInDoubt } else { false } }

    /// Returns whether the target has answered since then that it runs no copy of the VM.
    func isClear(since instant: Instant) -> Bool {
        guard let answer, answer.askedAt >= instant else { return false }
        return answer.presence.isClear(for: order)
    }

    /// Returns whether the order may be forgotten: it has ended, and would be refused as expired if read again.
    func isOver(at instant: Instant, remembered: Duration) -> Bool {
        !isPending && order.latestBeginning + remembered <= instant && !isInquiring && !isCheckingCopy
    }

    /// How long the source has moved the VM; the ledger has the begin by the clock of that time.
    func movingTime(at instant: Instant) -> Duration { instant - (state.startedAt ?? order.issuedAt) - clockStep }

    /// Moves all times with a step of the clock.
    mutating func shift(by step: Duration) {
        clockStep = clockStep + step
        readAt = readAt + step
        acceptedAt = acceptedAt.map { $0 + step }
        progressWritten = progressWritten.map { $0 + step }
        copy.endReadAt = copy.endReadAt.map { $0 + step }
        switch activity {
        case .inquiry(let inquiry): activity = .inquiry(inquiry.shifted(by: step))
        case .sealed(let move): activity = .sealed(move.shifted(by: step))
        case .checkingCopy(let check): activity = .checkingCopy(check.shifted(by: step))
        case .confirming(let wait): activity = .confirming(wait.shifted(by: step))
        case .idle, .readingRequirements, .beginning, .migrating: break
        }
    }
}

/// The source's observations when it accepted an order, which it needs when the move begins.
public struct Preparation: Codable, Sendable, Equatable {
    /// The target's gates, before they were opened for the move.
    public var probes: [GateProbe]
    public var memoryBytes: UInt64
    /// Whether the VM starts with this host, which must end before it moves.
    public var startsWithHost: Bool
    public init(probes: [GateProbe], memoryBytes: UInt64, startsWithHost: Bool = false) {
        self.probes = probes
        self.memoryBytes = memoryBytes
        self.startsWithHost = startsWithHost
    }
}

/// An order that does not concern this host, or whose record has not been read yet.
enum OtherOrder: Sendable {
    /// Reports were read before the order.
    case unseen([OrderReport])
    /// An order of other hosts, until it ends; `place`: the number of this host's orders before it.
    case foreign(MigrationOrder, place: Int)

    /// Moves the times of early reports with a step of the clock: otherwise a step forward would drop them.
    mutating func shift(by step: Duration) {
        guard case .unseen(var reports) = self else { return }
        for index in reports.indices { reports[index].at = reports[index].at + step }
        self = .unseen(reports)
    }

    /// Returns whether reports may be forgotten because their order has not appeared for long.
    func isOver(at instant: Instant, remembered: Duration) -> Bool {
        guard case .unseen(let reports) = self else { return false }
        return !reports.contains { $0.at + remembered > instant }
    }
}

/// An action of an order's state machine (`Inquiry`, `SealedMove`); executed in order.
enum OrderAction: Sendable {
    case effect(AgentCore.Effect)
    /// Write a step of this host, which binds it at once.
    case report(OrderStep)
    /// Report how the order ended, and before a success wait for the target's confirmation.
    case end(AgentCore.Answer<AgentCore.Completion>)
    /// Ask the hypervisor to cancel the order's migration.
    case cancelMigration
    /// Take the order's next step.
    case advance
    /// The state machine has no more steps.
    case finish
    /// A VM that had left is rightly on this host again.
    case acceptReturn
    /// Check whether a failed move left a second copy at the target.
    case seekDuplicate
}

/// Input of the state machines in addition to the order's state.
struct OrderContext: Sendable {
    let host: HostName
    let limits: AgentCore.Limits
    let mutations: Set<Mutation>
    let now: Instant
    /// The target of a newer move of the VM between other hosts that has begun.
    var movedTo: HostName?
}
