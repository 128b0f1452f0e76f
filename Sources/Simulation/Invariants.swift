// SPDX-License-Identifier: Apache-2.0
internal import Coordination
internal import Fleet

/// A violation of an invariant.
public struct Violation: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Invariant: String, Sendable, CaseIterable {
        /// Each VM executes on one host; on none only during its downtime or a crash of its host.
        case runsOnce = "each VM runs on exactly one host"
        case carriedOutOnce = "each order is carried out at most once"
        case limits = "the limits of moves and memory hold"
        case onePath = "a path carries one live move at a time"
        case noReturn = "no VM moves back within the no-return window"
        case oneController = "no move begins that a superseded controller has ordered"
        case recorded = "moves are ordered and begun only on hosts that can record them"
        case ends = "every order ends in a report"
        case gates = "no gate stays open after the end of its order"
        case closed = "no move uses a channel with a known leak that has not been cleared"
        case autostart = "each VM starts with the host on which it runs"
        case definitions = "each VM is defined only on the host on which it runs"
        case kept = "no VM loses its definition on every host without an alert"
        case freed = "a host that is gone does not keep a VM where it is for more than an hour"
        case released = "no agent carries out an order that an operator has ended"
        case claims = "a host's false claims do not keep other hosts' VMs where they are"
        case stopped = "no agent starts a VM that an operator has stopped"
        case movable = "no move is ordered of a VM that its host reports as immovable"
        case settles = "the fleet settles after faults and stays settled"
    }
    public var invariant: Invariant
    /// Milliseconds since the beginning of the run.
    public var at: Int64
    public var detail: String

    public var description: String {
        "invariant violated after \(Duration.milliseconds(at).text): \(invariant.rawValue): \(detail)"
    }
}

/// Checks the invariants, which must hold under all faults, at each event that could violate one.
struct Invariants {
    var violation: Violation?
    /// All orders that were written to the ledger.
    var asked: [OrderID: MigrationOrder] = [:]
    private(set) var submittedAt: [OrderID: Int64] = [:]
    private var lastOrderAt: Int64?
    private(set) var lastOrder: MigrationOrder?
    private(set) var ended: Set<OrderID> = []
    private(set) var begun: Set<OrderID> = []
    /// The time at which a VM last left a host.
    private var left: [Int: [Int: Int64]] = [:]
    /// Number of hosts on which each VM executes.
    var runners: [Int: Int] = [:]
    /// VMs that libvirt or an operator has started a second time.
    private var excused: Set<Int> = []
    /// How long VMs have not run exactly once while no fault prevented the repair, in seconds.
    private var abnormal: [Int: Int] = [:]
    var operatorActions = OperatorActions()

    /// When an agent last raised an alert that a VM's definition may be lost.
    var alerts: [Int: Int64] = [:]

    private var clearedOrders: Set<OrderID> = []
    /// Reported leaks that have not been cleared.
    private var closures: [OrderID: ClosedChannels.Closure] = [:]
    /// For how long a gate has been open after its order's end while its host could have closed it, in milliseconds.
    private var openGates: [OrderID: Int64] = [:]

    /// The highest epoch with which a controller has taken over.
    private var epoch: UInt64 = 0
    /// Orders that were written after another controller had taken over.
    private var superseded: Set<OrderID> = []
    /// Hosts whose newest sample states that they cannot take orders, and since when the controller knows it.
    private var blocked: [HostName: Int64] = [:]
    /// Orders whose start was written to the ledger, but not marked on the source's disk.
    private var unmarked: Set<OrderID> = []

    private let policy: Policy
    private let memory: [UInt64]
    private let hosts: [HostName]
    private let patience: Int
    private let hasOperator: Bool
    /// Which cannot move.
    private let immovable: Set<VMID>
    /// The total clock error of each party.
    private let skew: [Fault.Party: Int64]
    private let faultsEndAt: Int64
    private let settleBy: Int64
    private let quiet: Int64
    private let expects: Bool
    /// A baseline is measured, but its invariants are not checked.
    private let isJudged: Bool

    init(_ settings: SimulationSettings) {
        policy = settings.policy
        memory = settings.hosts.map(\.memoryBytes)
        hosts = settings.hosts.map(\.name)
        // A VM in doubt alerts an operator after `doubt`, who acts after `operatorDelay`.
        hasOperator = settings.operatorActs
        patience = Int(settings.limits.doubt.inSeconds + (hasOperator ? settings.operatorDelay.inSeconds : 60)) + 120
        immovable = Set(settings.immovableVMs.map(World.id))
        isJudged = settings.baseline == nil
        expects = !settings.faults.isEmpty
        var skew: [Fault.Party: Int64] = [:]
        for fault in settings.faults {
            switch fault.fault {
            case .clockJump(let party, let milliseconds): skew[party, default: 0] += abs(milliseconds)
            case .wrongClockAtBoot(let host, let milliseconds): skew[.host(host), default: 0] += abs(milliseconds)
            default: break
            }
        }
        self.skew = skew
        faultsEndAt = World.epoch + settings.settlesAfter.wholeMilliseconds
        settleBy = faultsEndAt + Self.settlingTime(policy).wholeMilliseconds
        quiet = Self.quiet(policy).wholeMilliseconds
    }

    /// Returns the time after the last fault within which the fleet must settle.
    ///
    /// A balance is reached in waves, and a VM rests after each of its moves. Of 300 fleets, some of them with more
    /// demand than CPU, the slowest took 5.5 times the no-return window.
    static func settlingTime(_ policy: Policy) -> Duration { policy.noReturn * 8 }

    /// Returns the time without orders after which a fleet counts as settled.
    static func quiet(_ policy: Policy) -> Duration { policy.noReturn * 2 + policy.longWindow }

    /// Returns whether the fleet has settled: the time without orders is long enough that none will follow.
    func isSettled(at now: Int64) -> Bool {
        expects && now - max(faultsEndAt, lastOrderAt ?? 0) > quiet && abnormal.isEmpty
    }

    mutating func broken(_ invariant: Violation.Invariant, _ detail: String, at: Int64) {
        guard violation == nil, isJudged else { return }
        violation = Violation(invariant: invariant, at: at - World.epoch, detail: detail)
    }

    // MARK: VMs

    mutating func excuse(_ vm: Int) { excused.insert(vm) }

    mutating func forget(_ vm: Int) {
        runners[vm] = nil
        abnormal[vm] = nil
        excused.remove(vm)
        operatorActions.forget(vm)
    }

    mutating func runs(_ vm: Int, _ change: Int, name: String, on host: HostName, byAgent: Bool, at: Int64) {
        let count = (runners[vm] ?? 0) + change
        runners[vm] = count
        if count == 1 {
            excused.remove(vm)
            abnormal[vm] = nil
            operatorActions.startedTwice.remove(vm)
        } else if abnormal[vm] == nil {
            abnormal[vm] = 0
        }
        if count > 1, byAgent || !excused.contains(vm) {
            broken(.runsOnce, "\(name) started on \(host) while it ran on another host", at: at)
        }
    }

    /// Checks that an agent did not remove the image of a VM that runs on no host.
    mutating func imageRemoved(of vm: Int, name: String, at: Int64) {
        guard (runners[vm] ?? 0) == 0 else { return }
        broken(.runsOnce, "the image of \(name) was removed while the VM ran on no host", at: at)
    }

    /// Checks that a VM no longer runs twice, although one of its hosts has no agent.
    mutating func mustRunOnce(_ vm: Int, name: String, at: Int64) {
        guard (runners[vm] ?? 0) > 1 else { return }
        broken(
            .runsOnce,
            "\(name) still runs on \(runners[vm] ?? 0) hosts, and the agent of its source is dead",
            at: at
        )
    }

    func isAbnormal(_ vm: Int) -> Bool { (runners[vm] ?? 1) != 1 }
    var anyAbnormal: Bool { !abnormal.isEmpty }

    mutating func watch(isHealthy: Bool, names: (Int) -> String, at: Int64) {
        guard isHealthy else { return }
        for vm in abnormal.keys.sorted() where !isOff(vm) {
            abnormal[vm, default: 0] += 1
            let limit = operatorActions.patience(with: vm, usual: patience, hasOperator: hasOperator)
            guard abnormal[vm, default: 0] > limit else { continue }
            broken(.runsOnce, "\(names(vm)) runs on \(runners[vm] ?? 0) hosts, and has for \(limit) s", at: at)
        }
    }

    // MARK: orders

    mutating func submitted(_ order: MigrationOrder, at: Int64) {
        submittedAt[order.id] = at
        lastOrderAt = at
        lastOrder = order
        if let own = order.epoch, own < epoch { superseded.insert(order.id) }
        // An operator orders without knowing the samples; the agents refuse.
        let isPlanned = order.issuer == .controller && !superseded.contains(order.id)
        if order.issuer == .controller, immovable.contains(order.vm) {
            broken(.movable, "order \(order.id) moves \(order.vmName)", at: at)
        }
        for host in [order.source, order.target] where isPlanned {
            // A sample from a clock that was ahead can hide newer ones until it is stale.
            let patience = policy.staleAfter.wholeMilliseconds * 2
            guard let since = blocked[host], at - since > patience else { continue }
            broken(.recorded, "order \(order.id) names \(host), which cannot take orders", at: at)
        }
        if expects, at > settleBy {
            broken(
                .settles,
                "order \(order.id) moves \(order.vmName) after the time to settle: \(order.reason)",
                at: at
            )
        }
    }

    mutating func begun(
        _ order: MigrationOrder,
        vm: Int,
        source: Int,
        target: Int,
        running: [Migration],
        at: Int64
    ) {
        if !begun.insert(order.id).inserted {
            broken(.carriedOutOnce, "order \(order.id) (\(order.vmName)) was started again", at: at)
        }
        if superseded.contains(order.id) {
            broken(.oneController, "order \(order.id) (\(order.vmName)) was started", at: at)
        }
        let pair = HostPair(order.source, order.target)
        // Only leaks of moves from this source: a report from the other host may still be in transit.
        if let leak = closures.values.first(where: {
            $0.path.source == order.source && HostPair($0.path) == pair && $0.channel == order.channel
        }) {
            broken(
                .closed,
                "order \(order.id) (\(order.vmName)) was started after the leak of order \(leak.order)",
                at: at
            )
        }
        // Otherwise the bytes of one move could cover a leak of the other.
        if let other = running.first(where: { $0.source == source && $0.target == target }) {
            broken(.onePath, "order \(order.id) was started while order \(other.order.id) used its path", at: at)
        }
        if running.count >= policy.movesInAll {
            broken(.limits, "order \(order.id) was started while \(running.count) moves were running", at: at)
        }
        for host in [source, target] {
            let count = running.count { $0.source == host || $0.target == host }
            if count >= policy.movesPerHost {
                broken(
                    .limits,
                    "order \(order.id) was started while \(hosts[host]) took part in \(count) moves",
                    at: at
                )
            }
        }
        let slack = [.controller, .host(source), .host(target)].reduce(2000) { $0 + skew[$1, default: 0] }
        if let since = left[vm]?[target], at - since < policy.noReturn.wholeMilliseconds - slack {
            let time = Duration.milliseconds(at - since).text
            broken(.noReturn, "\(order.vmName) moves back to \(hosts[target]), which it left \(time) ago", at: at)
        }
    }

    /// Checks an offline move, which takes part in none of the limits.
    mutating func begunOffline(_ order: MigrationOrder, at: Int64) {
        guard !begun.insert(order.id).inserted else { return }
        broken(.carriedOutOnce, "order \(order.id) (\(order.vmName)) was started again", at: at)
    }

    mutating func tookOver(_ epoch: UInt64) { self.epoch = max(self.epoch, epoch) }

    /// Follows whether a host states that it cannot take orders.
    mutating func blocks(_ host: HostName, _ isBlocked: Bool, at: Int64) {
        blocked[host] = isBlocked ? blocked[host] ?? at : nil
    }

    mutating func unmarked(_ report: OrderReport) {
        if report.step.isBeginning { unmarked.insert(report.order) }
    }

    /// Checks that an order begins only after its source has a durable mark of its start.
    mutating func begins(_ order: MigrationOrder, at: Int64) {
        guard unmarked.contains(order.id) else { return }
        broken(.recorded, "order \(order.id) (\(order.vmName)) begins without a mark of its start", at: at)
    }

    mutating func moved(_ vm: Int, from host: Int, at: Int64) { left[vm, default: [:]][host] = at }

    mutating func arrived(on host: Int, uses bytes: UInt64, at: Int64) {
        guard bytes > memory[host] else { return }
        broken(.limits, "\(hosts[host]) has allocated \(bytes >> 20) MiB of \(memory[host] >> 20) MiB", at: at)
    }

    /// Returns the leak that an operator has to investigate, if the report contains one.
    mutating func reported(_ report: OrderReport, at: Int64) -> ClosedChannels.Closure? {
        guard report.step.isFinal, let order = asked[report.order] else { return nil }
        guard report.host == order.source || report.host == order.target else { return nil }
        ended.insert(report.order)
        guard case .done(_, let evidence) = report.step, evidence.verdict == .leak, closures[order.id] == nil,
            !clearedOrders.contains(order.id)
        else { return nil }
        let path = Path(source: order.source, target: order.target)
        let closure = ClosedChannels.Closure(order: order.id, path: path, channel: order.channel, at: report.at)
        closures[order.id] = closure
        return closure
    }

    mutating func endedByOperator(_ order: OrderID) { ended.insert(order) }

    mutating func stillHeld(_ order: MigrationOrder, by party: String, at: Int64) {
        broken(.released, "order \(order.id) (\(order.vmName)) has not ended for \(party)", at: at)
    }

    mutating func cleared(_ closure: ClosedChannels.Closure) {
        closures[closure.order] = nil
        clearedOrders.insert(closure.order)
    }

    var anyClosure: ClosedChannels.Closure? { closures.keys.min().flatMap { closures[$0] } }

    // MARK: gates

    /// Counts how long a gate is open after the end of its order, while its host could read of the end.
    mutating func gateIsOpen(_ order: OrderID, on host: Int, milliseconds: Int64, at: Int64) {
        guard ended.contains(order) else { return }
        // If the clock of this host or of the source is wrong, the end is held back. The gate then closes by timeout.
        let source = asked[order].flatMap { hosts.firstIndex(of: $0.source) }
        let errors = [host, source].compactMap { $0 }.map { skew[.host($0), default: 0] }
        guard errors.allSatisfy({ $0 < Self.heldSkew }) else { return }
        openGates[order, default: 0] += milliseconds
        guard openGates[order, default: 0] > Self.gatePatience else { return }
        broken(.gates, "the gate of order \(order) is open on \(hosts[host])", at: at)
    }

    /// Whether a clock is wrong by so much that its host's records wait, or that it lets others' records wait.
    var holdsRecords: Bool { skew.values.contains { $0 >= Self.heldSkew } }

    private static let gatePatience: Int64 = 60_000
    private static let heldSkew: Int64 = 500_000

    /// Without faults the run may end just after a move; and with a clock that was far ahead, before its records count.
    mutating func lostAutostart(of name: String, on host: HostName, at: Int64) {
        if expects, !holdsRecords { broken(.autostart, "\(name) runs on \(host), but does not start with it", at: at) }
    }

    /// Checks that exactly one host has the definition of a VM that was off during the whole run.
    mutating func defined(_ name: String, on hosts: [HostName], at: Int64) {
        guard expects, hosts.count != 1 else { return }
        let places = hosts.map(\.rawValue).joined(separator: " and ")
        broken(.definitions, "\(name) is off, and defined on \(hosts.isEmpty ? "no host" : places)", at: at)
    }

    mutating func leftDefinition(of name: String, on host: HostName, at: Int64) {
        if expects { broken(.definitions, "\(name) runs on another host, and is defined on \(host)", at: at) }
    }

    /// The controller leaves a VM of another host where it is, because this host claims to run it.
    mutating func believed(_ host: HostName, name: String, at: Int64) {
        broken(.claims, "\(name) is left where it is, because \(host) claims to run it", at: at)
    }

    mutating func checkTheEnd(at: Int64) {
        let open = asked.keys.filter { !ended.contains($0) && at - (submittedAt[$0] ?? at) > quiet - 1000 }.sorted()
        if let first = open.first, let order = asked[first] {
            broken(.ends, "order \(first) (\(order.vmName), \(order.source) to \(order.target)) has not ended", at: at)
        }
        // Without faults the run may end in the middle of a VM's downtime.
        if expects, let vm = abnormal.keys.sorted().first {
            broken(.runsOnce, "VM \(vm) runs on \(runners[vm] ?? 0) hosts at the end", at: at)
        }
    }

    /// Time between the last fault and the last order, in seconds; 0 if there was none.
    var settledAfter: Double { max(0, Double((lastOrderAt ?? faultsEndAt) - faultsEndAt) / 1000) }
    var orders: Int { asked.count }
    var begunOrders: Int { begun.count }
}

extension OrderStep {
    /// Whether the step states that a move is about to begin.
    fileprivate var isBeginning: Bool { self == .running(progress: .beginning) }
}
