// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Coordination
public import Escort
internal import Fleet
internal import FleetFiles
public import Hypervisor
public import Ledger
public import Logging
public import Settings

/// The agent's shell: samples its host, feeds the core from the ledger, and executes the core's effects.
public struct AgentService: Sendable {
    let host: HostName
    let settings: Settings
    let ledger: any FleetLedger
    let hypervisor: any Hypervisor
    let channels: Channels
    let sealedKeys = SealedKeys()
    let waits = WaitingOrders()
    let sampleWriting = LastingFailure()
    let reportWriting = LastingFailure()
    let definitionSync = LastingFailure()
    let journalReading = LastingFailure()
    let resources: any ResourceSource
    let movability: Movability
    let logger: Logger
    let record: String?
    let journal: OrderJournal?
    /// `nil` without a journal: such a host cannot know.
    let stateFolder: StateFolder?
    /// In a file of its own, which an older agent ignores.
    let autostartJournal: OrderJournal?
    let identity: IdentityUpkeep?
    let closures: LocalClosures?
    let definitions: OwnDefinitions?
    /// Shorter in tests, whose hypervisors have no job lock.
    var limits = AgentCore.Limits()
    /// How long the agent does not act after its start because records of the ledger are from the future: this host's
    /// clock may be behind, or that of their writer ahead.
    var clockWait: Duration = .seconds(600)

    /// Interval at which the mesh and the gates are re-applied.
    static let upkeepInterval: Duration = .seconds(10)
    static let retryInterval: Duration = .seconds(2)
    /// Number of events that may wait for the core; a sender with more waits, such as the reader of a long history.
    static let eventLimit = 64
    static let tunnelsInterval: Duration = .seconds(20)
    static let tunnelsPerSample = 64
    /// Time from the start of a migration until QEMU connects, including libvirt's preparations at both ends.
    static let connectingTime: Duration = .seconds(30)

    /// Creates the service; it does nothing until `run`.
    ///
    /// `journal` is the local file with this host's journal entries. Without it the host relies on the ledger alone,
    /// and sealed moves are not available. `closures` is the local file that lists the channels closed after leaks.
    /// `record` is the file to which the core's input and effects are recorded. `identity` is `nil` if the host has
    /// none, as with pre-shared keys. `definitions` are the copies of VM definitions to keep; `nil`: none.
    public init(
        settings: Settings,
        host: String,
        ledger: any FleetLedger,
        hypervisor: any Hypervisor,
        channels: Channels,
        logger: Logger,
        record: String? = nil,
        identity: IdentityUpkeep? = nil,
        journal: String? = nil,
        closures: String? = nil,
        definitions: OwnDefinitions? = nil
    ) {
        self.settings = settings
        self.host = HostName(host)
        self.ledger = ledger
        self.hypervisor = hypervisor
        self.channels = channels
        self.logger = logger
        self.record = record
        self.identity = identity
        self.definitions = definitions
        self.closures = closures.map { LocalClosures(path: $0, logger: logger) }
        self.journal = journal.map { OrderJournal(path: $0) }
        stateFolder = self.journal.map { StateFolder($0, logger: logger) }
        autostartJournal = journal.map { OrderJournal(path: "\($0)-autostart") }
        movability = Movability(
            SourceChecks(host: HostName(host), settings: settings, hypervisor: hypervisor),
            logger: logger
        )
        resources = settings.sampling.cgroup.map { ControlGroupResources(path: $0) } ?? MachineResources()
    }

    /// Runs until cancelled.
    public func run() async {
        let events = AgentEvents(limit: Self.eventLimit)
        await withDiscardingTaskGroup { group in
            group.addTask { await movability.keep() }
            group.addTask { await stateFolder?.keep() }
            group.addTask { await keepSampling(events) }
            group.addTask { await keepMesh() }
            group.addTask { await keepDefinitions() }
            group.addTask { await follow(events) }
            var limits = limits
            limits.migration = settings.migration.timeLimit
            var core = recorded(AgentCore(host: host, limits: limits))
            if let known = await closures?.read() {
                _ = core.handle(AgentCore.Event(.closures(known), at: .now))
            }
            var begun: [OrderID] = []
            if let known = await ordersBegunBefore() {
                begun = known
                if !known.isEmpty { _ = core.handle(AgentCore.Event(.begun(known), at: .now)) }
            } else {
                group.addTask { await keepAskingForBegunOrders(events) }
            }
            let lanes = EffectLanes()
            let clock = ContinuousClock()
            let start = clock.now
            while let event = await events.next() {
                switch event {
                case .begun(let late):
                    begun = late
                    reportUnseenBeginnings(begun, of: core.core.orders)
                case .caughtUp:
                    reportStrays(besides: core.core.orders.values.map(\.order.id))
                    reportUnseenBeginnings(begun, of: core.core.orders)
                default: break
                }
                let effects = core.handle(AgentCore.Event(event, at: .now, uptime: clock.now - start))
                // Before the effects that follow: a crash in between must not reopen a closed channel.
                await closures?.keep(core.core.closed.closures)
                for effect in effects {
                    guard let lane = EffectLanes.Lane(effect) else {
                        announce(effect)
                        continue
                    }
                    guard lanes.put(effect, in: lane) else { continue }
                    group.addTask {
                        while let effect = lanes.next(in: lane) { await carryOut(effect, events) }
                    }
                }
            }
            group.cancelAll()
        }
    }
}

extension AgentService {
    private func recorded(_ core: AgentCore) -> RecordedCore<AgentCore> {
        let header = RecordingHeader(agent: core, configuration: settings.documentedFile())
        var core = RecordedCore(core) { [logger] in
            logger.error("the recording has ended", metadata: ["reason": "\($0)"])
        }
        if let record, let path = core.record(to: record, header) { logger.notice("recording to \(path)") }
        return core
    }
}
