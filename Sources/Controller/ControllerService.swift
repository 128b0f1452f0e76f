// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Coordination
public import Fleet
internal import FleetFiles
public import Ledger
public import Logging
public import Settings

/// The controller's shell: feeds the core from the ledger and performs its effects.
public struct ControllerService: Sendable {
    private let settings: Settings
    private let ledger: any FleetLedger
    private let logger: Logger
    private let record: String?
    private let closures: LocalClosures?
    private let lock: ControllerLock?
    private let statistics: LocalStatistics?
    private let lockCheck = LastingFailure()
    /// Returns the enrolled hardware of the hosts; called at every poll.
    private let hardware: @Sendable () async -> [HostName: EnrolledHardware]
    /// Returns the hosts that were removed from the cluster; called at every poll.
    private let removed: @Sendable () async -> Set<HostName>

    /// `record`: the file to which the core's events and effects are recorded.
    ///
    /// `closures`: the local file of the channels closed after leaks; `nil`: only the ledger holds them. `hardware`:
    /// returns the hosts' enrolled hardware; by default none. `removed`: returns the hosts that were removed from the
    /// cluster; by default none. `lock`: without it, the controller takes over without an epoch, and another one can
    /// order beside it. `statistics`: the local file of the VMs' load statistics, which need hours to form; `nil`: they
    /// begin anew with each start.
    public init(
        settings: Settings,
        ledger: any FleetLedger,
        logger: Logger,
        record: String? = nil,
        closures: String? = nil,
        lock: ControllerLock? = nil,
        statistics: String? = nil,
        hardware: @escaping @Sendable () async -> [HostName: EnrolledHardware] = { [:] },
        removed: @escaping @Sendable () async -> Set<HostName> = { [] }
    ) {
        self.settings = settings
        self.ledger = ledger
        self.logger = logger
        self.record = record
        self.closures = closures.map { LocalClosures(path: $0, logger: logger) }
        self.lock = lock
        self.statistics = statistics.map { LocalStatistics(path: $0, logger: logger) }
        self.hardware = hardware
        self.removed = removed
    }

    /// Runs until it is cancelled; throws `LostControl` if another controller has taken over, or the lock was lost.
    ///
    /// An outage of the ledger stops only new decisions; every poll tries again. If the file of closed channels cannot
    /// be read, or its disk hangs, it throws and does not run, because it could order moves over a closed channel.
    public func run() async throws {
        var core = recorded(
            ControllerCore(policy: settings.policy, decisionInterval: settings.decisionInterval)
        )
        var follower = LedgerFollower(ledger, .present(settings.policy, thinned: false, at: .now))
        var enrolled: [HostName: EnrolledHardware] = [:]
        var gone: Set<HostName> = []
        if let known = await closures?.read() { _ = core.handle(.closures(known)) }
        if let damage = await closures?.damage { throw damage }
        if let known = await statistics?.read() { _ = core.handle(.statistics(known)) }
        if lock != nil { _ = core.handle(.lockTaken(controller: Self.newIdentifier())) }
        while !Task.isCancelled {
            let known = await hardware()
            if known != enrolled { await perform(core.handle(.enrolled(known)), core: &core) }
            enrolled = known
            let nowGone = await removed()
            if nowGone != gone { await perform(core.handle(.removed(nowGone)), core: &core) }
            gone = nowGone
            var effects: [ControllerCore.Effect] = []
            let isRead = await follower.poll(logger, at: .now) { follower in
                try await follower.pull(into: &core) { effects += $0 }
            }
            // Also if the ledger could be read only in part, or the service is being stopped.
            await closures?.keep(core.core.closed.closures)
            if let damage = await closures?.damage { throw damage }
            await perform(effects, core: &core)
            if isRead {
                await perform(core.handle(.caughtUp(at: .now)), core: &core)
            } else if Task.isCancelled {
                break
            } else {
                await perform(core.handle(.ledgerLost), core: &core)
            }
            let now = Instant.now
            let tick = ControllerCore.Event.tick(at: now, identifier: Self.newIdentifier())
            await perform(core.handle(tick), decidedAt: now, core: &core)
            if let reason = core.core.lossOfControl { throw LostControl(reason: reason) }
            await statistics?.keep(core.core.statistics)
            try? await Task.sleep(for: settings.ledger.pollInterval)
        }
        await statistics?.keep(core.core.statistics, isLast: true)
    }

    private func recorded(_ core: ControllerCore) -> RecordedCore<ControllerCore> {
        var core = RecordedCore(core) { [logger] in
            logger.error("the recording has ended", metadata: ["reason": "\($0)"])
        }
        let header = RecordingHeader(controller: settings.documentedFile())
        if let record, let path = core.record(to: record, header) { logger.notice("recording to \(path)") }
        return core
    }

    /// Executes effects; a stated end has the time of the decision.
    ///
    /// If this process is frozen before it writes, a statement that another one has made since is newer and counts.
    private func perform(
        _ effects: [ControllerCore.Effect],
        decidedAt: Instant = .now,
        core: inout RecordedCore<ControllerCore>
    ) async {
        for effect in effects {
            switch effect {
            case .announce(let news):
                logger.log(
                    level: news.kind.needsOperator ? .critical : .notice,
                    "\(news.description.plainText())",
                    metadata: ["kind": "\(news.kind.rawValue)"]
                )
            case .submit(let order):
                let result = await hasLock(&core) ? await submit(order) : .failed
                _ = core.handle(.submitted(order.id, result))
            case .end(let id, let host, let reason):
                if await hasLock(&core) { await end(id, on: host, at: decidedAt, reason: reason) }
            case .takeOver(let record):
                if await hasLock(&core) { await takeOver(record) }
            }
        }
    }

    /// Checks the lock before each record that orders something, and tells the core if it was lost.
    ///
    /// A round of orders can take long on slow storage, and another controller may have taken over since its first one.
    private func hasLock(_ core: inout RecordedCore<ControllerCore>) async -> Bool {
        guard core.core.lossOfControl == nil else { return false }
        switch await lock?.check() {
        case nil, .held:
            if lockCheck.take(nil) == .ended { logger.notice("the controller's lock can be checked again") }
            return true
        case .unknown(let reason):
            guard case .began(let reason) = lockCheck.take(reason) else { return false }
            logger.error(
                "orders nothing now: the controller's lock cannot be checked",
                metadata: ["reason": "\(reason)"]
            )
        case .lost(let reason): await perform(core.handle(.lockLost(reason: reason)), core: &core)
        }
        return false
    }

    private func takeOver(_ record: OrderRecord) async {
        do {
            try await ledger.append(record)
            logger.notice("takes over", metadata: ["epoch": "\(record.epoch ?? 0)"])
        } catch {
            logger.error("cannot take over yet", metadata: ["reason": "\(error)"])
        }
    }

    private func end(_ id: OrderID, on host: HostName, at instant: Instant, reason: String) async {
        do {
            try await ledger.append(OrderRecord.end(id: id, on: host, at: instant, reason: reason))
        } catch { logger.error("cannot write the end of order \(id)", metadata: ["reason": "\(error)"]) }
    }

    private func submit(_ order: MigrationOrder) async -> ControllerCore.Submission {
        do {
            try await ledger.append(OrderRecord.migrate(order: order))
            return .written
        } catch {
            logger.error("cannot write order \(order.id)", metadata: ["reason": "\(error)"])
            return (error as? LedgerError)?.mayBeWritten == true ? .unknown : .failed
        }
    }

    /// Returns a short identifier of a decision or order, unique in the ledger: its time and 32 random bits.
    public static func newIdentifier() -> String {
        let time = Instant.now.milliseconds
        return String(time, radix: 36) + String(UInt32.random(in: .min ... .max), radix: 36)
    }
}

/// This controller must end: another one may order moves now.
public struct LostControl: Error, Equatable, CustomStringConvertible {
    public var reason: String
    public var description: String {
        "the controller has stopped: \(reason). Make sure that one controller runs, and start it again."
    }
}
