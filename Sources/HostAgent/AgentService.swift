// SPDX-License-Identifier: Apache-2.0
internal import Coordination
public import Escort
internal import Fleet
internal import FleetFiles
public import Hypervisor
public import Ledger
public import Logging
public import Settings

/// The agent's shell: samples its host, feeds the core from the ledger, and carries out the core's effects.
public struct AgentService: Sendable {
    let host: HostName
    let settings: Settings
    let ledger: any FleetLedger
    let hypervisor: any Hypervisor
    let channels: Channels
    let sealedKeys = SealedKeys()
    let waits = WaitingOrders()
    let resources: any ResourceSource
    let logger: Logger
    let record: String?
    let journal: OrderJournal?
    let identity: IdentityUpkeep?
    let closures: LocalClosures?
    /// Shorter in tests, whose hypervisors have no job lock.
    var limits = AgentCore.Limits()

    /// How often the mesh and the gates are made sure of.
    static let upkeepInterval: Duration = .seconds(10)
    static let retryInterval: Duration = .seconds(2)
    /// Events that may wait for the core: whoever has more, such as the reader of a long history, waits.
    static let eventLimit = 64
    static let tunnelsInterval: Duration = .seconds(20)
    static let tunnelsPerSample = 64
    /// From the beginning of a migration until QEMU connects, libvirt's preparations at both ends included.
    static let connectingTime: Duration = .seconds(30)

    /// `journal`: the local file that remembers what this host has done of its orders; `nil`: the ledger alone does, and
    /// there are no sealed moves; so `closures`, which remembers what leaks have closed.
    ///
    /// `record`: the file to which what the core is told and what it decides is recorded; `identity`: `nil` where the
    /// host has none, as with pre-shared keys.
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
        closures: String? = nil
    ) {
        self.settings = settings
        self.host = HostName(host)
        self.ledger = ledger
        self.hypervisor = hypervisor
        self.channels = channels
        self.logger = logger
        self.record = record
        self.identity = identity
        self.closures = closures.map { LocalClosures(path: $0, logger: logger) }
        self.journal = journal.map { OrderJournal(path: $0) }
        resources = settings.sampling.cgroup.map { ControlGroupResources(path: $0) } ?? MachineResources()
    }

    /// Runs until it is cancelled.
    public func run() async {
        let events = AgentEvents(limit: Self.eventLimit)
        await withDiscardingTaskGroup { group in
            let sightings = PeerSightings(for: host, hypervisor: hypervisor, logger: logger) {
                await identity?.trusted(settings.inventory) ?? settings.inventory
            }
            group.addTask { await sightings.keep() }
            group.addTask { await keepSampling(sightings) }
            group.addTask { await keepMesh() }
            group.addTask { await follow(events) }
            var limits = limits
            limits.migration = settings.migration.timeLimit
            var core = recorded(AgentCore(host: host, limits: limits))
            if let known = await closures?.read() {
                _ = core.handle(AgentCore.Event(.closures(known), at: .byTheWallClock))
            }
            let lanes = EffectLanes()
            while let event = await events.next() {
                let effects = core.handle(AgentCore.Event(event, at: .byTheWallClock))
                if case .caughtUp = event {
                    reportStrayImages(besides: core.core.orders.values.map(\.order.id))
                }
                // Before what follows from it: a crash in between must not open what is closed.
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
            logger.error("nothing more is recorded", metadata: ["reason": "\($0)"])
        }
        if let record, let path = core.record(to: record, header) { logger.notice("recording to \(path)") }
        return core
    }
}
