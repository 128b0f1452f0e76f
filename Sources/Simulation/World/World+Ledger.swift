// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// Writes and reads the ledger, with all possible faults.
extension World {
    func party(_ node: Node) -> Fault.Party {
        switch node {
        case .controller: .controller
        case .agent(let host): .host(host)
        // The operator works on the controller's machine.
        case .operator: .controller
        }
    }

    func reachesLedger(_ node: Node) -> Bool {
        !activeFaults.values.contains(.ledgerOut) && canTalk(party(node), .ledger)
    }

    /// Writes a record; returns the result as its writer observes it, which can be wrong.
    func write(_ entry: SimulatedLedger.Entry, by node: Node) -> AgentCore.Appended {
        guard reachesLedger(node), !activeFaults.values.contains(.ledgerFull) else { return .failed }
        var record = SimulatedLedger.Record(at: now, signedAt: clock(node), writer: node, entry: entry)
        record.isOfNewerVersion = isOfNewerVersion(entry)
        // Its readers' clocks reach its time too late.
        if record.signedAt - clock(.operator) > Self.clockTolerance { invariants.operatorActions.hasLostRecords = true }
        if isLost(entry) {
            note("ledger: a record is lost")
            invariants.operatorActions.hasLostRecords = true
            return .written
        }
        publish(record)
        if activeFaults.values.contains(.ledgerUnsure), random.below(3) == 0 { return .failed }
        return .written
    }

    /// Adds a record to the ledger and sends it to its readers.
    func publish(_ record: SimulatedLedger.Record) {
        ledger.append(record)
        if case .report(let report) = record.entry, record.isGenuine, record.writer == .agent(number(of: report.host)) {
            note("\(report.host): order \(report.order) \(report.step.text)")
            checkSearch(report)
            if let closure = invariants.reported(report, at: now) {
                queue.put(.clear(closure), at: now + draw(30_000...90_000))
            }
            if case .failed(let failure) = report.step, failure.kind == .inDoubt,
                let vm = invariants.asked[report.order].flatMap({ vmNumbers[$0.vm] })
            {
                call(vm)
            }
        }
        for reader in readers(of: record.entry) { send(record, to: reader) }
        if case .report(let report) = record.entry, record.isGenuine, record.writer == .agent(number(of: report.host)) {
            dies(after: report)
        }
    }

    private func isOfNewerVersion(_ entry: SimulatedLedger.Entry) -> Bool {
        guard case .report(let report) = entry, case .running = report.step else { return false }
        return activeFaults.values.contains(.newerVersion(host: number(of: report.host)))
    }

    private func isLost(_ entry: SimulatedLedger.Entry) -> Bool {
        guard activeFaults.values.contains(.ledgerLoss) else { return false }
        switch entry {
        case .order: return false
        case .report(let report): if report.step.isFinal { return false }
        case .sample: break
        }
        return random.below(8) == 0
    }

    private func readers(of entry: SimulatedLedger.Entry) -> [Node] {
        switch entry {
        case .sample: return [.controller]
        case .order(.migrate(let order)): return [.controller] + concerned(order)
        case .order(.cancel(let id, _, _)), .order(.end(let id, _, _, _)):
            return [.controller] + (orders[id].map(concerned) ?? [])
        case .order(.clear), .order(.takeOver): return [.controller] + hosts.indices.map { .agent($0) }
        case .report(let report): return [.controller] + (orders[report.order].map(concerned) ?? [])
        }
    }

    private var orders: [OrderID: MigrationOrder] { invariants.asked }

    /// Returns the agents that read an order.
    ///
    /// In a large fleet these are only the agents of source and target: the cores of the others would drop the order at
    /// once.
    private func concerned(_ order: MigrationOrder) -> [Node] {
        guard hosts.count > 16 else { return hosts.indices.map { .agent($0) } }
        return [order.source, order.target].compactMap { hostNumbers[$0] }.map { .agent($0) }
    }

    private func send(_ record: SimulatedLedger.Record, to reader: Node) {
        var slowness: Int64 = 0
        var copies = 1
        for fault in activeFaults.values {
            if case .ledgerSlow(let milliseconds) = fault { slowness = max(slowness, milliseconds) }
            if fault == .ledgerDuplicates { copies = 2 }
        }
        for _ in 0..<copies {
            // Without a random number: a record that changes no decision must not change the run.
            let isTakeOver = if case .order(.takeOver) = record.entry { true } else { false }
            let usual = isTakeOver ? settings.physics.ledgerDelay.lowerBound : draw(settings.physics.ledgerDelay)
            let delay = usual + (slowness > 0 ? draw(0...slowness) : 0)
            let last = lastDelivery[reader]?[record.writer] ?? 0
            let at = max(now + delay, last)
            lastDelivery[reader, default: [:]][record.writer] = at
            queue.put(.deliver(to: reader, incarnation: incarnation(reader), record), at: at)
        }
    }

    private func incarnation(_ node: Node) -> Int {
        switch node {
        case .controller: controllerIncarnation
        case .agent(let host): agents[host].incarnation
        case .operator: 0
        }
    }

    func deliver(_ record: SimulatedLedger.Record, to node: Node, incarnation expected: Int) {
        // A node that was started later has already read the record.
        guard incarnation(node) == expected else { return }
        guard reachesLedger(node), held[node] == nil else {
            held[node, default: []].append(record)
            return
        }
        read(record, by: node)
    }

    /// Delivers held records to the nodes that can read again.
    func release() {
        for node in held.keys.sorted(by: { order($0) < order($1) }) where reachesLedger(node) {
            if waiting.contains(node) {
                readAgain(node)
                continue
            }
            for record in held.removeValue(forKey: node) ?? [] { read(record, by: node) }
            if node == .controller { feedController { .caughtUp(at: $0) } }
        }
    }

    func number(of host: HostName) -> Int { hostNumbers[host] ?? -1 }

    private func order(_ node: Node) -> Int {
        switch node {
        case .controller: -1
        case .agent(let host): host
        case .operator: -2
        }
    }

    /// Reads the whole ledger, as a node does after its start.
    func readAgain(_ node: Node) {
        held[node] = nil
        lastDelivery[node] = nil
        if case .agent(let host) = node { refused[host] = nil }
        guard reachesLedger(node) else {
            held[node] = []
            waiting.insert(node)
            return
        }
        waiting.remove(node)
        ledger.rotate(keepingSince: now - settings.physics.retention.wholeMilliseconds)
        if case .agent(let host) = node, !hosts[host].begun.isEmpty { feed(host, .begun(hosts[host].begun.sorted())) }
        for record in ledger.records { read(record, by: node) }
        if node == .controller {
            for samples in ledger.samples { for record in samples { read(record, by: node) } }
            feedController { .caughtUp(at: $0) }
        } else if case .agent(let host) = node {
            feed(host, .caughtUp)
        }
    }

    private func read(_ record: SimulatedLedger.Record, by node: Node) {
        guard ledger.admits(record, hosts: hostNames) else { return }
        if record.writer != node, record.signedAt > clock(node) + Self.clockTolerance {
            // The reader's clock is behind: the record waits until it is right again.
            queue.put(.deliver(to: node, incarnation: incarnation(node), record), at: now + 5000)
            return
        }
        switch (node, record.entry) {
        case (.agent(let host), .order(let order)): feed(host, .order(order))
        case (.agent(let host), .report(let written)):
            let report = understood(written, in: record)
            guard !refuses(report, host) else {
                note("\(hostNames[host]) refuses: order \(report.order) \(report.step.text)")
                refused[host, default: []].append(record)
                return
            }
            feed(host, .report(report))
        case (.controller, .order(let order)): feedController { _ in .order(order) }
        case (.controller, .report(let written)):
            let report = understood(written, in: record)
            feedController { .report(report, at: $0) }
        case (.controller, .sample(let sample)):
            invariants.blocks(sample.host, sample.takesNoOrdersBecause != nil, at: now)
            feedController { .sample(sample, at: $0) }
        case (.agent, .sample), (.operator, _): break
        }
    }

    /// Returns the report as this version decodes it.
    private func understood(_ written: OrderReport, in record: SimulatedLedger.Record) -> OrderReport {
        guard record.isOfNewerVersion else { return written }
        var report = written
        report.step = .notUnderstood(step: "begins")
        return report
    }

    /// As `RecordVerifier`'s.
    private static let clockTolerance: Duration = .seconds(600)

    private func refuses(_ report: OrderReport, _ host: Int) -> Bool {
        guard activeFaults.values.contains(.refusedReports(host: host)), orders[report.order]?.channel == .sealed else {
            return false
        }
        return sealedRandom.below(4) == 0
    }

    /// Delivers the records that an agent had refused.
    func readRefused(_ host: Int) {
        guard agents[host].core != nil else { return }
        for record in refused.removeValue(forKey: host) ?? [] { read(record, by: .agent(host)) }
    }

    func append(_ report: OrderReport, from host: Int) {
        var result = write(.report(report), by: .agent(host))
        if result == .written, isDiskFull(host) {
            result = .unmarked
            invariants.unmarked(report)
        }
        feed(host, .appended(result))
    }
}
