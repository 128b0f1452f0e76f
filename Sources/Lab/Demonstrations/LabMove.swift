// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import FoundationEssentials
public import Ledger
public import Settings

/// A manual move, followed to its end.
public struct LabMove: Sendable, Codable {
    public var order: MigrationOrder
    /// The agents' reports, in the ledger's order.
    public var reports: [OrderReport]

    /// The step that ended the order; the search for a second copy may follow it.
    private var end: OrderStep? { reports.last { $0.step.isFinal }?.step }

    public var outcome: MigrationOutcome? {
        if case .done(let outcome, _)? = end { outcome } else { nil }
    }
    public var failure: OrderFailure? {
        if case .failed(let failure)? = end { failure } else { nil }
    }
    public var evidence: Evidence? {
        if case .done(_, let evidence)? = end { evidence } else { failure?.evidence }
    }
    /// Time of the parallel probes of the target's gates before the move; `nil` if there were none.
    public var probeSeconds: Double? { evidence?.probes.compactMap(\.seconds).max() }
    /// Time to open the target's gates; `nil` if the move uses no migration port.
    public var pinholeSeconds: Double? { reports.lazy.compactMap(\.gateSeconds).first }
    /// Time from the agent's first report that the move begins, after all checks, to the hypervisor's start of the
    /// migration: the setup of the channel.
    public var secondsToBegin: Double? {
        guard let outcome else { return nil }
        let first = reports.first { if case .running = $0.step { true } else { false } }
        return first.map { (outcome.startedAt - $0.at).inSeconds }
    }
}

extension HostLab {
    /// Returns the channels of the settings, or those of them in `wanted`, once both agents offer all of them in their
    /// latest samples.
    ///
    /// Throws an error that names the missing ones after the limit. `plain`, which samples do not list, comes last.
    public func offeredChannels(
        _ first: HostName,
        _ second: HostName,
        by settings: Settings,
        wanted chosen: [Channel] = [],
        within limit: Duration = .seconds(60)
    ) async throws -> [Channel] {
        let wanted = settings.escort.usableChannels.filter { chosen.isEmpty || chosen.contains($0) }
        let deadline = ContinuousClock.now + limit
        while true {
            let samples = try await records(LoadSample.self)
            let offers = [first, second].map { host in samples.last { $0.host == host }?.channels ?? [] }
            let missing = wanted.filter { channel in channel != .plain && !offers.allSatisfy { $0.contains(channel) } }
            if missing.isEmpty { return wanted }
            guard ContinuousClock.now < deadline else {
                let names = missing.map(\.rawValue).joined(separator: ", ")
                throw LabError.timedOut(
                    what: "channel \(names) between \(first) and \(second)",
                    after: limit,
                    log: ""
                )
            }
            try await Task.sleep(for: .milliseconds(500))
        }
    }

    /// Waits until every host has written a sample with its load.
    public func waitForSamples(within limit: Duration = .seconds(60)) async throws {
        try await waitUntil("a sample of every host", within: limit) {
            let samples = try await records(LoadSample.self)
            return hosts.allSatisfy { host in samples.contains { $0.host == host.name && $0.intervalSeconds != nil } }
        }
    }

    /// Orders the move of a guest to another host over a channel and follows it to its end.
    ///
    /// A failed move is a result, too; an error means that no outcome was reported in time.
    public func move(
        _ guest: GuestPlan,
        to target: HostName,
        channel: Channel,
        within limit: Duration = .seconds(240)
    ) async throws -> LabMove {
        guard let source = try await runsOn(guest).first, source != target else {
            throw LabError.move(guest: guest.name, reason: "the guest runs on no host other than \(target)")
        }
        // Take it from either host's samples: a move does not change it, and the first sample after a move may lack it.
        let seen = try await records(LoadSample.self).reversed().lazy
            .compactMap { $0.vms?.first { $0.id == guest.uuid }?.definition }.first
        let order = makeOrder(guest, from: source, to: target, channel: channel, definition: seen)
        let ledger = try ledger(as: .operator)
        var cursor = try await end(of: OrderReport.self, in: ledger)
        try await ledger.append(OrderRecord.migrate(order: order))
        var reports: [OrderReport] = []
        let deadline = ContinuousClock.now + limit
        while !reports.contains(where: \.step.isFinal) {
            guard ContinuousClock.now < deadline else {
                let last = reports.last.map { "the last report is \($0.step)" } ?? "no agent reported on the order"
                throw LabError.move(guest: guest.name, reason: "not ended within \(limit.text): \(last)")
            }
            let batch = try await ledger.read(OrderReport.self, from: cursor)
            reports += batch.records.map(\.body).filter { $0.order == order.id }
            cursor = batch.next
            if !batch.hasMore, !reports.contains(where: \.step.isFinal) {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        return LabMove(order: order, reports: reports)
    }

    /// Returns an operator's order that begins within a minute, or not at all.
    func makeOrder(
        _ guest: GuestPlan,
        from source: HostName,
        to target: HostName,
        channel: Channel,
        definition: String?
    ) -> MigrationOrder {
        let now = Instant(milliseconds: Int64(Date.now.timeIntervalSince1970 * 1000))
        return MigrationOrder(
            id: OrderID("lab-\(UUID().uuidString.lowercased())"),
            vm: guest.uuid,
            vmName: guest.name,
            source: source,
            target: target,
            channel: channel,
            technique: channel.technique,
            definition: definition,
            issuedAt: now,
            expires: now + .seconds(60),
            issuer: .operator,
            reason: "lab demonstration"
        )
    }

    /// Returns all ledger entries of one kind.
    public func records<Entry: LedgerEntry>(_ type: Entry.Type) async throws -> [Entry] {
        let ledger = try ledger(as: .operator)
        var all: [LedgerRecord<Entry>] = []
        for log in try await ledger.logs(of: Entry.stream) {
            var cursor: Cursor?
            while true {
                let batch = try await ledger.read(type, in: log, from: cursor, limit: 1000, selecting: nil)
                all += batch.records
                cursor = batch.next
                if !batch.hasMore { break }
            }
        }
        // The samples of each host are in a log of their own.
        return (Entry.stream == .load ? all.sorted { $0.at < $1.at } : all).map(\.body)
    }

    private func end<Entry: LedgerEntry>(of type: Entry.Type, in ledger: some FleetLedger) async throws -> Cursor? {
        var cursor: Cursor?
        while true {
            let batch = try await ledger.read(type, from: cursor)
            cursor = batch.next
            if !batch.hasMore { return cursor }
        }
    }
}
