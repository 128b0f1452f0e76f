// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Carries out orders as an agent, without any I/O: events in, effects out.
///
///     source:  accept (read the VM's requirements) → wait for the target's consent → migrate → report
///     target:  check the requirements that the source reports → consent or refuse
///
/// A move begins only when the ledger shows it as running, and none begins twice. After a restart, each running order
/// of this source becomes an inquiry (see `Inquiry`) before anything else happens to its VM. A running sealed move
/// follows `Handover`.
public struct AgentCore: Sendable {
    public let host: HostName
    public let limits: Limits
    var work: [OrderID: OrderWork] = [:]
    var others: [OrderID: OtherOrder] = [:]
    /// Unanswered questions of other hosts.
    var questions = OpenQuestions()
    /// The orders that earlier incarnations have begun according to this host's journal.
    var begunBefore: Set<OrderID> = []
    /// The highest epoch of a controller that this host has read.
    var epoch: UInt64 = 0
    var nextPlace = 0
    var isCaughtUp = false
    /// The newest time in an order, or in a report of another host.
    private var newestRecord: Instant?
    /// Channels closed by leaks of this host's moves; kept when the orders are forgotten.
    public internal(set) var closed = ClosedChannels()
    var outbox = Outbox()
    /// The times of the latest event.
    private var latest: (at: Instant, uptime: Duration?)?
    /// Deliberate errors, which prove that the simulator's checks can fail.
    package var mutations: Set<Mutation> = []

    public init(host: HostName, limits: Limits = Limits()) {
        self.host = host
        self.limits = limits
    }

    /// Orders whose source or target is this host.
    public var orders: [OrderID: OrderState] { work.mapValues(\.state) }

    /// Whether the passing of time alone can change anything.
    public var needsTicks: Bool {
        !outbox.isEmpty || !questions.isEmpty
            || work.values.contains {
                $0.isPending || $0.isInquiring || $0.isCheckingCopy || $0.mustSetAutostart(on: host)
                    || $0.mustWithdraw(on: host)
            }
    }

    public mutating func handle(_ kind: Event.Kind, at instant: Instant, uptime: Duration? = nil) -> [Effect] {
        handle(Event(kind, at: instant, uptime: uptime))
    }

    /// Applies one event and returns the effects.
    public mutating func handle(_ event: Event) -> [Effect] {
        var effects: [Effect] = []
        let instant = event.at
        adjustForClockStep(event)
        switch event.kind {
        case .closures(let closures): closed.restore(closures)
        case .begun(let orders): take(begun: orders, at: instant, effects: &effects)
        case .order(let record): take(record, at: instant, effects: &effects)
        case .report(let report): take(report, at: instant, effects: &effects)
        case .caughtUp: catchUp(at: instant, effects: &effects)
        case .known(let vms): take(known: vms, at: instant)
        case .tick: tick(at: instant, effects: &effects)
        case .appended(let result): appended(result, at: instant, effects: &effects)
        case .requirementsRead(let id, let result, let probes): accept(id, result, probes, at: instant)
        case .targetChecked(let id, let failures, let key, let gateSeconds):
            consent(id, failures, sealingKey: key, gateSeconds: gateSeconds, at: instant, effects: &effects)
        case .progressed(let id, let progress): progressed(id, progress, at: instant)
        case .migrationEnded(let id, let result): migrationEnded(id, result, at: instant, effects: &effects)
        case .cancelTried(let id): work[id]?.isCancelling = false
        case .looked(let id, let observation): looked(id, believed(observation), at: instant, effects: &effects)
        case .located(let id, let observation, let isPersistent):
            located(id, believed(observation), isPersistent: isPersistent, at: instant)
        case .autostartSet(let id, let failure): autostartSet(id, failure: failure, at: instant)
        case .applied(let id, let result): applied(id, result, at: instant, effects: &effects)
        case .sealed(let id, let result): sealed(id, at: instant, &effects) { $0.sealed(result, $1, $2) }
        case .unsealed(let id, let result): sealed(id, at: instant, &effects) { $0.unsealed(result, $1, $2) }
        case .letGo(let id, let failure): sealed(id, at: instant, &effects) { $0.letGo(failure, $1, $2) }
        case .recalled(let id, let result): sealed(id, at: instant, &effects) { $0.recalled(result, $1, $2) }
        case .restored(let id, let result): sealed(id, at: instant, &effects) { $0.restored(result, $1, $2) }
        }
        lookForAnswers(at: instant, effects: &effects)
        handOverAutostart(at: instant, effects: &effects)
        withdrawDefinitions(at: instant, effects: &effects)
        forgetSealed(effects: &effects)
        shutGates(at: instant, effects: &effects)
        if let report = outbox.next(at: instant) { effects.append(.append(report)) }
        return effects
    }

    /// Shifts all times after a step of the wall clock: otherwise a step back would make waits longer, and a step forward
    /// would end them.
    ///
    /// Without the monotonic clock, only a step back can be recognised.
    private mutating func adjustForClockStep(_ event: Event) {
        defer { latest = (event.at, event.uptime) }
        guard let latest else { return }
        var step = event.at - latest.at
        if let now = event.uptime, let then = latest.uptime {
            step = step - (now - then)
        } else {
            step = min(step, .zero)
        }
        guard step < .zero - Self.clockNoise || step > Self.clockNoise else { return }
        guard !mutations.contains(.ignoresClockSteps) else { return }
        for id in work.keys { work[id]?.shift(by: step) }
        for id in others.keys { others[id]?.shift(by: step) }
    }

    /// Returns the observation, unless a mutation falsifies it.
    private func believed(_ observation: CopyObservation) -> CopyObservation {
        guard case .silent = observation, mutations.contains(.takesSilenceForAbsence) else { return observation }
        return .seen(.absent)
    }

    /// Notes the time of a record; this host's own ones may be as wrong as its clock.
    mutating func noteTime(_ time: Instant) { newestRecord = max(newestRecord ?? time, time) }

    /// Returns the time by which the agent measures how long ago something happened in the ledger.
    ///
    /// A clock that is ahead, above all after a power cut, must not make the agent forget what it must watch. The next
    /// step of the clock could not bring it back. Therefore the newest record counts if the clock is past it.
    func ledgerTime(_ instant: Instant) -> Instant {
        min(instant, newestRecord ?? instant)
    }

    /// Difference between the two clocks up to which it is no step.
    private static let clockNoise: Duration = .seconds(1)
}
