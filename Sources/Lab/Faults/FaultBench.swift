// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import FoundationEssentials
internal import Ledger
internal import Settings

/// Runs cells of the fault matrix one after another in one lab.
///
///     order ─▶ wait for the phase ─▶ inject ─▶ hold ─▶ repair ─▶ settle ─▶ check guests ─▶ ordinary move ─▶ check
///
/// After `settleLimit` from the repair, everything that does not hold is a broken rule.
public struct FaultBench: Sendable {
    /// Covers the longest limits of driver and agents: 150 s for libvirt's last call, 45 s to see where the VM is, and
    /// the 35 s after which a restarted agent trusts what it sees.
    public static let settleLimit: Duration = .seconds(240)
    static let attempts = 3

    public let lab: HostLab
    let programs: Programs
    let settings: Settings
    let log: @Sendable (String) -> Void
    let ledger: SharedLog
    private var reportsRead: Cursor?
    private var ordersRead: Cursor?
    /// How often a controller has recorded that it took control.
    private(set) var takeOvers = 0
    /// The controller's orders since the last order of this bench.
    private(set) var ordersOfController: [MigrationOrder] = []
    private var samplesRead: [LedgerLog: Cursor] = [:]
    /// The reports since the last order of this bench.
    private(set) var reports: [OrderReport] = []
    /// The newest digest of each VM's definition.
    private var definitions: [VMID: String] = [:]

    /// Three hosts with one quiet guest each.
    public static let plan = LabPlan(
        hosts: (1...3).map { HostPlan(number: $0, cores: 0.9) },
        guests: (1...3).map {
            GuestPlan(number: $0, host: HostName("h\($0)"), unitMicroseconds: 1_300, dirtyMiBPerSecond: 0.25)
        }
    )

    /// Creates the bench for a lab that has just been started; `log` receives a line for each step.
    public init(lab: HostLab, programs: Programs, log: @escaping @Sendable (String) -> Void) throws {
        self.lab = lab
        self.programs = programs
        var settings = lab.settings
        // The controller moves nothing by itself, except in its own cells.
        settings.policy.mode = .manual
        self.settings = settings
        self.log = log
        ledger = try lab.ledger(as: .operator)
    }

    /// Starts agents and controller, and waits until the hosts can move VMs to each other over every channel.
    public func prepare() async throws {
        log("agents and controller")
        try lab.configure(settings)
        try await lab.startAgents(programs, settings: settings)
        try await lab.waitForSamples()
        try await lab.startController(programs)
        let names = lab.hosts.map(\.name)
        for (first, second) in zip(names, names.dropFirst()) {
            _ = try await lab.offeredChannels(first, second, by: settings, wanted: FaultCell.channels)
        }
    }

    /// Runs a cell: repeats it until its phase was met, at most three times.
    ///
    /// Throws only if it is cancelled. An error of the lab is a broken rule, and the lab is then of no further use.
    /// The cell's number, from 1, determines which guest moves.
    public mutating func run(_ cell: FaultCell, number: Int) async throws -> FaultResult {
        let guest = lab.guests[(number - 1) % lab.guests.count]
        let began = ContinuousClock.now
        var result = FaultResult(cell: cell, guest: guest.name)
        do {
            while result.verdict == .missed, result.attempts < Self.attempts, result.violations.isEmpty {
                try await attempt(&result, moving: guest)
            }
        } catch {
            try Task.checkCancellation()
            result.violations.append("the lab failed: \(error)")
        }
        if !result.violations.isEmpty { result.verdict = .broken }
        result.seconds = (ContinuousClock.now - began) / .seconds(1)
        return result
    }

    // MARK: the ledger

    /// Reads what is new in the ledger.
    mutating func readReports() async throws {
        while true {
            let batch = try await ledger.read(OrderReport.self, from: reportsRead)
            reports += batch.records.map(\.body)
            reportsRead = batch.next
            if !batch.hasMore { return }
        }
    }

    /// Orders a move and returns its order; `reports` then has only what follows.
    mutating func order(
        _ guest: GuestPlan,
        from source: HostName,
        to target: HostName,
        over channel: Channel
    ) async throws -> OrderID {
        let definition = try await poll(every: .milliseconds(500), within: .seconds(60)) {
            try await readDefinitions()
            return definitions[guest.uuid]
        }
        try await forgetOrders()
        let order = lab.makeOrder(guest, from: source, to: target, channel: channel, definition: definition)
        try await ledger.append(OrderRecord.migrate(order: order))
        log("order \(order.id): \(guest.name) \(source) → \(target) over \(channel.rawValue)")
        return order.id
    }

    private mutating func readDefinitions() async throws {
        var samples: [LoadSample] = []
        for log in try await ledger.logs(of: .load) {
            while true {
                let cursor = samplesRead[log]
                let batch = try await ledger.read(LoadSample.self, in: log, from: cursor, limit: 1000, selecting: nil)
                samples += batch.records.map(\.body)
                samplesRead[log] = batch.next
                if !batch.hasMore { break }
            }
        }
        for sample in samples.sorted(by: { $0.at < $1.at }) {
            for vm in sample.vms ?? [] { if let digest = vm.definition { definitions[vm.id] = digest } }
        }
    }

    /// Returns the order's newest end; `nil` while it is open.
    func end(of order: OrderID) -> FaultObservation.End? {
        reports.last { $0.order == order && $0.step.isFinal }.flatMap { FaultObservation.End($0.step) }
    }

    /// Waits until the order has ended; `nil` at the limit.
    mutating func waitForEnd(of order: OrderID, within limit: Duration) async throws -> FaultObservation.End? {
        try await poll(every: .milliseconds(300), within: limit) {
            try await readReports()
            return end(of: order)
        }
    }

    /// Reads the orders and take-overs that are new in the ledger.
    mutating func readOrders() async throws {
        while true {
            let batch = try await ledger.read(OrderRecord.self, from: ordersRead)
            for record in batch.records.map(\.body) {
                switch record {
                case .takeOver: takeOvers += 1
                case .migrate(let order) where order.issuer == .controller: ordersOfController.append(order)
                default: break
                }
            }
            ordersRead = batch.next
            if !batch.hasMore { return }
        }
    }

    /// Forgets the reports and orders so far.
    mutating func forgetOrders() async throws {
        try await readReports()
        try await readOrders()
        (reports, ordersOfController) = ([], [])
    }
}
