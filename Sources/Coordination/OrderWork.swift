// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Everything that an agent keeps of an order whose source or target it is.
struct OrderWork: Sendable {
    /// What the agent does for the order: one thing at a time.
    enum Activity: Sendable {
        /// It waits for the other host or for time, or the order has ended.
        case idle
        /// The source reads what the VM needs.
        case readingRequirements
        /// The step `running` is on its way to the ledger; the move begins once it is written.
        case beginning
        case migrating
        /// Finding out where the VM is; also after the end of an order that may have left a second copy.
        case inquiry(Inquiry)
        case sealed(SealedMove)
    }

    var state: OrderState
    /// Its place in the ledger, which decides which of two orders is newer; clocks do not.
    let place: Int
    var activity = Activity.idle
    /// Whether the hypervisor is being asked to cancel its migration.
    var isCancelling = false
    /// As its source: the observations made when the order was accepted.
    var preparation: Preparation?
    /// As its source: when the order was accepted.
    var acceptedAt: Instant?
    var progressWritten: Instant?
    /// As its target: whether it was, or is being, checked that the VM can come.
    var isTargetChecked = false
    /// As its target: whether its gate may be open.
    var mayHaveGateOpen = false
    /// Whether something of a sealed move may be here: a key, an image in the clear, the encrypted file.
    var mayHoldImage = false

    init(_ state: OrderState, place: Int) {
        self.state = state
        self.place = place
    }

    var order: MigrationOrder { state.order }

    /// Whether an effect is under way whose result the order waits for.
    var isBusy: Bool {
        switch activity {
        case .readingRequirements, .beginning, .migrating: true
        case .sealed(let move): move.isBusy
        case .idle, .inquiry: false
        }
    }

    var isBeginning: Bool { if case .beginning = activity { true } else { false } }
    var isMigrating: Bool { if case .migrating = activity { true } else { false } }
    var isInquiring: Bool { if case .inquiry = activity { true } else { false } }

    /// Ends an effect whose result has come; an activity that has begun since goes on.
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

    /// Its state machine has nothing more to do.
    mutating func finishMachine() {
        switch activity {
        case .inquiry: activity = .idle
        case .sealed: finishSealed()
        case .idle, .readingRequirements, .beginning, .migrating: break
        }
    }

    /// Whether it may be forgotten: it has ended, and read again it would be refused as expired.
    func isOver(at instant: Instant, remembered: Duration) -> Bool {
        state.stage.isFinal && order.latestBeginning + remembered <= instant && !isInquiring
    }

    /// Moves all times with a clock that was set back.
    mutating func shift(by step: Duration) {
        acceptedAt = acceptedAt.map { $0 + step }
        progressWritten = progressWritten.map { $0 + step }
        switch activity {
        case .inquiry(let inquiry): activity = .inquiry(inquiry.shifted(by: step))
        case .sealed(let move): activity = .sealed(move.shifted(by: step))
        case .idle, .readingRequirements, .beginning, .migrating: break
        }
    }
}

/// What the source saw when it accepted an order, and needs when the move begins.
public struct Preparation: Codable, Sendable, Equatable {
    /// The target's gates, before they were opened for the move.
    public var probes: [GateProbe]
    public var memoryBytes: UInt64
    public init(probes: [GateProbe], memoryBytes: UInt64) {
        self.probes = probes
        self.memoryBytes = memoryBytes
    }
}

/// An order that is not this host's to carry out, as far as it knows.
enum OtherOrder: Sendable {
    /// Reports of it came before the order itself.
    case unseen([OrderReport])
    /// An order of other hosts, until it ends.
    case foreign

    /// An order is forgotten that was not seen for long after the reports of it.
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
    /// Report how the order ended.
    case end(AgentCore.Answer<AgentCore.Completion>)
    /// Ask the hypervisor to cancel the order's migration.
    case cancelMigration
    /// Take the order's next step.
    case advance
    /// The machine has nothing more to do.
    case finish
    /// Find out whether a move that failed left a second copy at the target.
    case seekDuplicate
}

/// Input of the state machines in addition to the order's state.
struct OrderContext: Sendable {
    let host: HostName
    let limits: AgentCore.Limits
    let mutations: Set<Mutation>
    let now: Instant
}
