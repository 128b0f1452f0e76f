// SPDX-License-Identifier: Apache-2.0
internal import Balancing
internal import Coordination
internal import Fleet

/// A fleet in virtual time: the production cores with simulated hosts, hypervisors, ledger and faults.
///
/// One thread, no clock, no I/O: the settings alone determine all events.
public final class World {
    /// A reader and writer of the ledger.
    enum Node: Hashable {
        case controller
        case agent(Int)
        /// The operator, who clears leaks.
        case `operator`
    }

    enum Event {
        case step(Int)
        case sample(host: Int)
        case tick(host: Int, incarnation: Int)
        /// `(Instant)`: the time on the host's clock.
        case agent(host: Int, incarnation: Int, (Instant) -> AgentCore.Event.Kind)
        case append(host: Int, incarnation: Int, OrderReport)
        case look(host: Int, incarnation: Int, MigrationOrder)
        case action(host: Int, incarnation: Int, CopyAction, MigrationOrder)
        case decide(incarnation: Int)
        case submit(incarnation: Int, MigrationOrder)
        case takeOver(incarnation: Int, OrderRecord)
        case deliver(to: Node, incarnation: Int, SimulatedLedger.Record)
        case migration(Int, turn: Int)
        case dropIncoming(host: Int, vm: Int)
        case fault(Int, begins: Bool)
        case forgery(Int)
        case boot(host: Int)
        case start(Node)
        case callOperator(vm: Int)
        case clear(ClosedChannels.Closure)
        /// An operator gives a lost host up.
        case endOrders(host: Int)
        case checkEnd(MigrationOrder)
        case watch
        /// An effect of a hypervisor in a sealed or offline move, or an operator's offline order.
        case sealed((World) -> Void)
    }

    struct Agent {
        var core: AgentCore?
        var incarnation = 0
        var startedAt = Int64.min / 2
        var clockOffset: Int64 = 0
        var isTicking = false
    }

    let settings: SimulationSettings
    let hostNames: [HostName]
    let vmIDs: [VMID]
    let vmNumbers: [VMID: Int]
    let hostNumbers: [HostName: Int]
    let memory: [UInt64]
    let endAt: Int64
    /// The simulation's random numbers; policies have their own, which must not depend on these.
    var random: SplitMix64
    var forgeryRandom: SplitMix64
    /// Random numbers for the faults of sealed moves; separate, to leave runs without these faults unchanged.
    var sealedRandom: SplitMix64

    var queue = EventQueue<Event>()
    var now: Int64
    /// How often each VM has been redefined.
    var revisions: [Int]
    /// The current demand of each VM, in cores.
    var wanted: [Double]
    var hosts: [SimulatedHost]
    var agents: [Agent]
    var controller: ControllerCore?
    var controllerIncarnation = 0
    var controllerClockOffset: Int64 = 0
    /// Orders of controllers that froze before they had written them, by fault.
    var frozenOrders: [Int: [MigrationOrder]] = [:]
    var ledger: SimulatedLedger
    /// The time of the last delivery from each writer to each reader: records of a writer are read in order.
    var lastDelivery: [Node: [Node: Int64]] = [:]
    /// Deliveries to nodes that cannot read the ledger now.
    var held: [Node: [SimulatedLedger.Record]] = [:]
    /// Reports that a host's agent has refused, although others accept them.
    var refused: [Int: [SimulatedLedger.Record]] = [:]
    var migrations: [Int: Migration] = [:]
    var migrationCount = 0
    var sealed = SealedState()
    /// VMs whose source's libvirt is moving them offline, by host: nobody can start them there.
    var offlineJobs: [Int: Set<Int>] = [:]

    // Faults with a duration.
    var activeFaults: [Int: Fault] = [:]
    var cuts: [(Fault.Party, Fault.Party)] = []
    /// Hosts that have crashed and stay away, and why.
    var lost: [Int: Fault] = [:]
    /// The host on which each VM was whose definition a power cut has taken: an operator can restore it there.
    var lostDefinitions: [Int: Int] = [:]
    var operators: OperatorState
    /// Faults that wait for the next migration from a host.
    var armed: [Int: [Fault]] = [:]
    /// The source of each order whose agent dies once it has reported the end.
    var dying: [OrderID: Int] = [:]
    var faultsEndAt: Int64
    var isWatching = false
    var callsOut: Set<Int> = []
    /// VMs that run on no host, and since when.
    var downSince: [Int: Int64] = [:]
    /// The number of calls that wait for each host's stuck libvirtd.
    var stuckCalls: [Int: Int] = [:]
    /// Nodes that have started but could not read the ledger yet.
    var waiting: Set<Node> = []

    var invariants: Invariants
    public internal(set) var measures: Measures
    /// Receives each line of the event log, if set.
    public var log: ((String) -> Void)?

    public init(_ settings: SimulationSettings) {
        self.settings = settings
        now = Self.epoch
        endAt = Self.epoch + settings.duration.wholeMilliseconds
        hostNames = settings.hosts.map(\.name)
        vmIDs = settings.workload.vms.indices.map(Self.id)
        vmNumbers = Dictionary(uniqueKeysWithValues: vmIDs.enumerated().map { ($1, $0) })
        hostNumbers = Dictionary(hostNames.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        memory = settings.workload.vms.map(\.memoryBytes)
        random = SplitMix64(seed: settings.seed)
        forgeryRandom = SplitMix64(seed: settings.seed ^ 0xf0f0)
        sealedRandom = SplitMix64(seed: settings.seed ^ 0x5ea1)
        operators = OperatorState(seed: settings.seed)
        revisions = settings.workload.vms.map { _ in 0 }
        wanted = settings.workload.vms.map { $0.cores(atStep: 0) }
        hosts = settings.hosts.map { SimulatedHost($0, at: Self.epoch) }
        agents = settings.hosts.map { _ in Agent() }
        let windows = max(settings.policy.longWindow, Self.leastHistory)
        let kept = Int(windows.inSeconds / max(0.001, settings.sampleInterval.inSeconds)) + 4
        ledger = SimulatedLedger(hosts: settings.hosts.count, samplesKept: settings.faults.isEmpty ? 0 : kept)
        faultsEndAt = Self.epoch + settings.settlesAfter.wholeMilliseconds
        invariants = Invariants(settings)
        measures = Measures(hosts: settings.hosts.count)
        for (vm, host) in settings.placement.enumerated() where settings.workload.vms[vm].existsFrom == 0 {
            let isOff = settings.offVMs.contains(vm)
            hosts[host].put(VMCopy(vm: vm, state: isOff ? .inactive : .running, startsWithHost: true))
            if !isOff { invariants.runners[vm] = 1 }
        }
    }

    /// Minimum length of each host's history that a starting controller finds.
    private static let leastHistory: Duration = .seconds(120)

    /// The start of virtual time, in milliseconds; the date is arbitrary.
    static let epoch: Int64 = 1_700_000_000_000

    /// Returns the UUID of a VM by its number.
    static func id(_ vm: Int) -> VMID { VMID("vm-\(padded(vm))") }

    static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    public var simulatedSeconds: Double { Double(now - Self.epoch) / 1000 }

    // MARK: run

    /// Queues the initial events.
    private func prepare() {
        for host in agents.indices { start(.agent(host)) }
        start(.controller)
        let interval = max(1, settings.sampleInterval.wholeMilliseconds)
        for host in hosts.indices {
            // Agents do not start at the same moment.
            queue.put(.sample(host: host), at: now + Int64(host) * interval / Int64(max(1, hosts.count)))
        }
        queue.put(.step(0), at: now)
        for wanted in settings.offlineOrders {
            queue.put(.sealed { $0.order(wanted) }, at: now + wanted.at.wholeMilliseconds)
        }
        for (number, fault) in settings.faults.enumerated() {
            queue.put(.fault(number, begins: true), at: now + fault.at.wholeMilliseconds)
            queue.put(.fault(number, begins: false), at: now + fault.end.wholeMilliseconds)
        }
    }

    private var isPrepared = false

    /// Runs for a time or to the end, and returns whether events remain; throws at a violated invariant.
    @discardableResult
    public func run(for time: Duration? = nil) throws(Violation) -> Bool {
        if !isPrepared {
            isPrepared = true
            prepare()
        }
        let until = min(endAt, time.map { now + $0.wholeMilliseconds } ?? endAt)
        while let (at, event) = queue.next(until: until) {
            now = at
            handle(event)
            if let violation = invariants.violation { throw violation }
            if case .step = event, migrations.isEmpty, invariants.isSettled(at: now) { return try finish() }
        }
        now = until
        guard now >= endAt else { return true }
        return try finish()
    }

    private func finish() throws(Violation) -> Bool {
        for host in hosts.indices { advance(host) }
        for vm in downSince.keys.sorted() { countDowntime(of: vm) }
        checkTheEnd()
        if let violation = invariants.violation { throw violation }
        return false
    }

    private func handle(_ event: Event) {
        switch event {
        case .step(let step): takeStep(step)
        case .sample(let host): takeSample(host)
        case .tick(let host, let incarnation):
            guard agents[host].incarnation == incarnation else { return }
            agents[host].isTicking = false
            feed(host, .tick)
        case .agent(let host, let incarnation, let event):
            guard agents[host].incarnation == incarnation, agents[host].core != nil else { return }
            feed(host, event(clock(.agent(host))))
        case .append(let host, let incarnation, let report):
            guard agents[host].incarnation == incarnation else { return }
            append(report, from: host)
        case .look(let host, let incarnation, let order):
            guard agents[host].incarnation == incarnation else { return }
            look(host, order)
        case .action(let host, let incarnation, let action, let order):
            guard agents[host].incarnation == incarnation else { return }
            apply(action, order, on: host)
        case .decide(let incarnation): decide(incarnation: incarnation)
        case .submit(let incarnation, let order): submit(order, incarnation: incarnation)
        case .takeOver(let incarnation, let record): takeOver(record, incarnation: incarnation)
        case .deliver(let node, let incarnation, let record): deliver(record, to: node, incarnation: incarnation)
        case .migration(let number, let turn): proceed(number, turn: turn)
        case .dropIncoming(let host, let vm): dropIncoming(vm, on: host)
        case .fault(let number, let begins): begins ? begin(number) : end(number)
        case .forgery(let number): forge(number)
        case .boot(let host): boot(host)
        case .start(let node): start(node)
        case .callOperator(let vm): callOperator(to: vm)
        case .clear(let closure): clear(closure)
        case .endOrders(let host): endOrders(of: host)
        case .checkEnd(let order): checkEnd(of: order)
        case .watch: watch()
        case .sealed(let event): event(self)
        }
    }

    func note(_ text: @autoclosure () -> String) {
        guard let log else { return }
        log("\(Duration.milliseconds(now - Self.epoch).text) \(text())")
    }

    func clock(_ node: Node) -> Instant {
        switch node {
        case .controller: Instant(milliseconds: now + controllerClockOffset)
        case .operator: Instant(milliseconds: now)
        case .agent(let host): Instant(milliseconds: now + agents[host].clockOffset)
        }
    }

    func draw(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(random.below(Int(range.upperBound - range.lowerBound) + 1))
    }

    func name(_ vm: Int) -> String { settings.workload.vms[vm].name }
}
