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
    private let host: HostName
    private let settings: Settings
    private let ledger: any FleetLedger
    private let hypervisor: any Hypervisor
    private let channels: Channels
    private let preparations = Preparations()
    private let sealedKeys = SealedKeys()
    private let resources: any ResourceSource
    private let logger: Logger
    private let record: String?
    private let begunOrders: BegunOrders?
    private let identity: IdentityUpkeep?
    private let closures: LocalClosures?
    /// Shorter in tests, whose hypervisors have no job lock.
    var limits = AgentCore.Limits()

    /// How often the mesh and the gates are made sure of.
    private static let upkeepInterval: Duration = .seconds(10)
    private static let retryInterval: Duration = .seconds(2)
    private static let tunnelsInterval: Duration = .seconds(20)
    private static let tunnelsPerSample = 64
    /// From the beginning of a migration until QEMU connects, libvirt's preparations at both ends included.
    private static let connectingTime: Duration = .seconds(30)

    /// `begunOrders`: the local file that remembers which orders this host has begun; `nil`: the ledger alone does; so
    /// `closures`, which remembers what leaks have closed.
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
        begunOrders: String? = nil,
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
        self.begunOrders = begunOrders.map { BegunOrders(path: $0) }
        resources = settings.sampling.cgroup.map { ControlGroupResources(path: $0) } ?? MachineResources()
    }

    /// Runs until it is cancelled.
    public func run() async {
        let (events, post) = AsyncStream<AgentCore.Event>.makeStream()
        await withDiscardingTaskGroup { group in
            let sightings = PeerSightings(for: host, hypervisor: hypervisor, logger: logger) {
                await identity?.trusted(settings.inventory) ?? settings.inventory
            }
            group.addTask { await sightings.keep() }
            group.addTask { await keepSampling(sightings) }
            group.addTask { await keepMesh() }
            group.addTask { await follow(post) }
            var limits = limits
            limits.migration = settings.migration.timeLimit
            var core = recorded(AgentCore(host: host, limits: limits))
            if let known = await closures?.read() { _ = core.handle(.closures(known, at: .byTheWallClock)) }
            for await event in events {
                let effects = core.handle(event)
                // Before what follows from it: a crash in between must not open what is closed.
                await closures?.keep(core.core.closed.closures)
                for effect in effects { group.addTask { await carryOut(effect, post) } }
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

// MARK: effects

extension AgentService {
    private var execution: MoveExecution {
        MoveExecution(host: host, settings: settings, hypervisor: hypervisor, channels: channels)
    }

    private func carryOut(_ effect: AgentCore.Effect, _ post: AsyncStream<AgentCore.Event>.Continuation) async {
        switch effect {
        case .append(let report):
            let result = await append(report)
            post.yield(.appended(result, at: .byTheWallClock))
        case .readRequirements(let order):
            logger.notice("order \(order.id): move \(order.vmName) to \(order.target)")
            let result = await requirements(for: order)
            post.yield(.requirementsRead(order.id, AgentCore.Answer(result), at: .byTheWallClock))
        case .checkTarget(let order, let requirements, let promisedBytes):
            var failures = await unmet(requirements, for: order, promisedBytes: promisedBytes)
            if failures.isEmpty, let failure = await openPinhole(for: order) { failures = [failure] }
            var sealingKey: String?
            if order.channel == .sealed, failures.isEmpty {
                do {
                    sealingKey = try await sealedMoves.prepare(for: order, memoryBytes: requirements.memoryBytes)
                } catch {
                    failures = [PreflightFailure(check: .escort, host: host, reason: "\(error)")]
                }
            }
            post.yield(.targetChecked(order.id, failures, sealingKey: sealingKey, at: .byTheWallClock))
        case .shut(let order) where order.channel == .sealed: break
        case .shut(let order):
            do { try await channels.mesh.closePinhole(for: order.source, channel: order.channel) } catch {
                // Its timeout will.
                logger.warning("a pinhole stays open for its window", metadata: ["reason": "\(error)"])
            }
        case .migrate(let order):
            let result = await begin(order) { post.yield(.progressed(order.id, $0, at: .byTheWallClock)) }
            log(result, of: order)
            post.yield(.migrationEnded(order.id, AgentCore.Answer(result), at: .byTheWallClock))
        case .cancelMigration(let order):
            do { try await hypervisor.cancelMigration(of: order.vm) } catch {
                logger.warning("cannot cancel order \(order.id)", metadata: ["reason": "\(error)"])
                // It is tried again at once after this.
                try? await Task.sleep(for: Self.retryInterval)
            }
            post.yield(.cancelTried(order.id, at: .byTheWallClock))
        case .look(let order):
            let sighting = await execution.look(for: order)
            logger.info(
                "order \(order.id): where is \(order.vmName)?",
                metadata: ["here": "\(sighting.here)", "there": "\(sighting.there)"]
            )
            post.yield(.looked(order.id, sighting, at: .byTheWallClock))
        case .apply(let remedy, let order):
            let result = await execution.apply(remedy, to: order.vm)
            logger.notice("order \(order.id): \(remedy.rawValue) the copy of \(order.vmName) here: \(result)")
            post.yield(.applied(order.id, result, at: .byTheWallClock))
        case .seal(let order, let key):
            let result = await seal(order, key)
            post.yield(.sealed(order.id, AgentCore.Answer(result), at: .byTheWallClock))
        case .unseal(let order, let image):
            let failure = await sealedMoves.unseal(order, image)
            if let failure {
                logger.error("order \(order.id): its image cannot be opened", metadata: ["reason": "\(failure)"])
            }
            post.yield(.unsealed(order.id, failure: failure, at: .byTheWallClock))
        case .restore(let order):
            let result = await sealedMoves.restore(order)
            logger.notice("order \(order.id): restore \(order.vmName) here: \(result)")
            post.yield(.restored(order.id, AgentCore.Answer(result), at: .byTheWallClock))
        case .takeBack(let order):
            let result = await sealedMoves.takeBack(order)
            logger.notice("order \(order.id): take \(order.vmName) back: \(result)")
            post.yield(.restored(order.id, AgentCore.Answer(result), at: .byTheWallClock))
        case .forget(let order): await sealedMoves.forget(order)
        case .say(let text, let isGrave): logger.log(level: isGrave ? .critical : .notice, "\(text)")
        }
    }

    private var sealedMoves: SealedMoves {
        SealedMoves(host: host, settings: settings, hypervisor: hypervisor, keys: sealedKeys)
    }

    private func begin(
        _ order: MigrationOrder,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        if let failure = await reasonNotToBegin(order) { return .failure(failure) }
        return await execution.migrate(order, preparations.take(order.id), progress: progress)
    }

    private func seal(_ order: MigrationOrder, _ key: String) async -> Result<SealedImage, OrderFailure> {
        if let failure = await reasonNotToBegin(order) { return .failure(failure) }
        let result = await sealedMoves.seal(order, key: key)
        switch result {
        case .success(let image):
            logger.notice(
                "order \(order.id): \(order.vmName) is stopped and sealed",
                metadata: ["bytes": "\(image.bytes)"]
            )
        case .failure(let failure):
            logger.error("order \(order.id): \(order.vmName) was not sealed", metadata: ["reason": "\(failure.reason)"])
        }
        return result
    }

    /// Notes that the order is begun; returns why it may not be.
    private func reasonNotToBegin(_ order: MigrationOrder) async -> OrderFailure? {
        do {
            if let begunOrders, try await !begunOrders.claim(order, at: .byTheWallClock) {
                let reason =
                    "this host has begun order \(order.id) before; somebody has set the ledger back or changed it"
                return OrderFailure(kind: .refused, reason: reason, runsOn: nil)
            }
        } catch {
            let reason = "it cannot be noted that the order was begun, so it was not: \(error)"
            return OrderFailure(kind: .refused, reason: reason, runsOn: host)
        }
        return nil
    }

    /// What the VM needs, and beside it a look at the target's gates, which are shut for this host still.
    private func requirements(for order: MigrationOrder) async -> Result<VMRequirements, OrderFailure> {
        if order.channel == .sealed {
            if let failure = await sealedIsMissing() {
                return .failure(
                    OrderFailure(kind: .refused, reason: failure.description, runsOn: nil, preflight: [failure])
                )
            }
            // It goes to no port of the target.
            return await execution.requirements(for: order)
        }
        async let requirements = execution.requirements(for: order)
        let probes: [GateProbe]
        do throws(OrderFailure) { probes = try await execution.probeGates(for: order) } catch {
            _ = await requirements
            return .failure(error)
        }
        let result = await requirements
        if case .success(let requirements) = result {
            await preparations.keep(Preparation(probes: probes, memoryBytes: requirements.memoryBytes), for: order.id)
        }
        return result
    }

    /// Lets the order's source in, as long as its move may begin; why not, if that failed.
    private func openPinhole(for order: MigrationOrder) async -> PreflightFailure? {
        // The image of a sealed move goes to no port.
        guard order.channel != .sealed else { return nil }
        let untilBegun = order.latestBeginning - .byTheWallClock + limits.jobLock + Self.connectingTime
        do {
            try await channels.mesh.openPinhole(for: order.source, channel: order.channel, window: untilBegun)
            return nil
        } catch {
            return PreflightFailure(check: .escort, host: host, reason: "its gates cannot be opened: \(error)")
        }
    }

    private func append(_ report: OrderReport) async -> AgentCore.Appended {
        do {
            try await ledger.append(report)
            return .written
        } catch let error as LedgerError where error.isPermanent {
            logger.critical(
                "a report cannot be written",
                metadata: ["order": "\(report.order)", "reason": "\(error)"]
            )
            return .refused
        } catch {
            logger.error("a report waits", metadata: ["order": "\(report.order)", "reason": "\(error)"])
            return .failed
        }
    }

    private func unmet(
        _ requirements: VMRequirements,
        for order: MigrationOrder,
        promisedBytes: UInt64
    ) async -> [PreflightFailure] {
        if order.channel == .plain, !settings.escort.allowPlain || order.issuer != .operator {
            let reason = "moves in the clear are not allowed here (escort.allow_plain)"
            return [PreflightFailure(check: .escort, host: host, reason: reason)]
        }
        do throws(EscortError) { try channels.checkConfigured(order.channel) } catch {
            return [PreflightFailure(check: .escort, host: host, reason: error.description)]
        }
        // The image lies in memory beside the VM that is restored from it.
        let imageBytes = order.channel == .sealed ? requirements.memoryBytes : 0
        let (reserved, isBeyondCounting) = promisedBytes.addingReportingOverflow(imageBytes)
        let checks = TargetChecks(
            host: host,
            hypervisor: hypervisor,
            resources: resources,
            memoryCeiling: settings.policy.memory.upper,
            promisedBytes: isBeyondCounting ? .max : reserved
        )
        return await checks.unmet(requirements)
    }

    private func sealedIsMissing() async -> PreflightFailure? {
        guard await !channels.offered().contains(.sealed) else { return nil }
        let reason = "the channel sealed is not among this host's (escort.channels)"
        return PreflightFailure(check: .escort, host: host, reason: reason)
    }

    private func log(_ result: Result<AgentCore.Completion, OrderFailure>, of order: MigrationOrder) {
        switch result {
        case .success(let completion):
            logger.notice(
                "order \(order.id): \(order.vmName) runs on \(order.target)",
                metadata: ["evidence": "\(completion.evidence.verdict.rawValue)"]
            )
            if completion.evidence.verdict == .leak {
                logger.critical("LEAK: less passed the channel to \(order.target) than the hypervisor sent")
            }
        case .failure(let failure):
            logger.error("order \(order.id): \(order.vmName) was not moved", metadata: ["reason": "\(failure.reason)"])
        }
    }
}

// MARK: loops

extension AgentService {
    private func keepSampling(_ sightings: PeerSightings) async {
        var sampler = HostSampler(host: host, resources: resources)
        let clock = ContinuousClock()
        let start = clock.now
        var next = start
        var isFirst = true
        var lastTunnels: ContinuousClock.Instant?
        while !Task.isCancelled {
            var sample = await sampler.sample(
                at: .byTheWallClock,
                uptime: clock.now - start,
                hypervisor: hypervisor
            )
            sample.channels = await channels.offered()
            if lastTunnels.map({ clock.now - $0 >= Self.tunnelsInterval }) ?? true {
                sample.tunnels = await tunnels()
                lastTunnels = clock.now
            }
            sample.sightings = sightings.recent(at: sample.at)
            // The first reading gives no rates: it only starts the count.
            if !isFirst {
                do { try await ledger.append(sample) } catch {
                    logger.error("a sample is lost", metadata: ["reason": "\(error)"])
                }
            }
            isFirst = false
            next = max(next + settings.sampling.interval, clock.now)
            try? await clock.sleep(until: next)
        }
    }

    /// The tunnels as charon has them; those in trouble first, as a sample holds only so many.
    private func tunnels() async -> [TunnelStatus]? {
        guard let all = try? await channels.mesh.meshStatus() else { return nil }
        return Array((all.filter { !$0.isUp } + all.filter(\.isUp)).prefix(Self.tunnelsPerSample))
    }

    private func keepMesh() async {
        var lastFailure: String?
        while !Task.isCancelled {
            do {
                try await channels.mesh.apply(await identity?.trusted(settings.inventory) ?? settings.inventory)
                if lastFailure != nil { logger.notice("the mesh is configured again") }
                lastFailure = nil
            } catch {
                let failure = "\(error)"
                if failure != lastFailure, !Task.isCancelled {
                    logger.error("cannot configure the mesh", metadata: ["reason": "\(failure)"])
                }
                lastFailure = failure
            }
            await identity?.look(channels.mesh, inventory: settings.inventory)
            try? await Task.sleep(for: Self.upkeepInterval)
        }
    }

    /// Hands over what is new in the ledger.
    ///
    /// Reports that were written before an order must be known before it: an order for a VM whose last move has just
    /// ended would be refused otherwise. So the orders are read first and handed over last; those of history, which
    /// nobody acts on, come before their reports.
    private func readNews(
        from orders: inout LedgerPlace,
        and reports: inout LedgerPlace,
        historyFirst isHistory: Bool,
        _ post: AsyncStream<AgentCore.Event>.Continuation
    ) async throws -> LedgerRemarks {
        var news: [OrderRecord] = []
        var remarks = try await ledger.readOn(OrderRecord.self, from: &orders) { news.append($0) }
        func hand() {
            for record in news { post.yield(.order(record, at: .byTheWallClock)) }
        }
        if isHistory { hand() }
        // Also when the reports cannot be read: the place in the orders has moved on.
        defer { if !isHistory { hand() } }
        remarks.add(
            try await ledger.readOn(OrderReport.self, from: &reports) { post.yield(.report($0, at: .byTheWallClock)) }
        )
        return remarks
    }

    /// Feeds the core with the ledger's orders and reports, and with the time.
    private func follow(_ post: AsyncStream<AgentCore.Event>.Continuation) async {
        var orders = LedgerPlace()
        var reports = LedgerPlace()
        var remarkLog = RemarkLog()
        var isCaughtUp = false
        var ledgerIsOut = false
        while !Task.isCancelled {
            do {
                let remarks = try await readNews(from: &orders, and: &reports, historyFirst: !isCaughtUp, post)
                for remark in remarkLog.due(remarks, at: .byTheWallClock) {
                    let kind = remark.kind
                    logger.log(
                        level: kind.isRefusal ? .error : .warning,
                        "ledger",
                        metadata: ["kind": "\(kind.rawValue)", "count": "\(remark.count)", "reason": "\(remark)"]
                    )
                }
                if !isCaughtUp { post.yield(.caughtUp(at: .byTheWallClock)) }
                isCaughtUp = true
                if ledgerIsOut { logger.notice("the ledger is back") }
                ledgerIsOut = false
            } catch {
                if !ledgerIsOut, !Task.isCancelled {
                    logger.error("cannot read the ledger", metadata: ["reason": "\(error)"])
                }
                ledgerIsOut = true
            }
            post.yield(.tick(at: .byTheWallClock))
            try? await Task.sleep(for: settings.ledger.pollInterval)
        }
        post.finish()
    }
}
