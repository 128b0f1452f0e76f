// SPDX-License-Identifier: Apache-2.0
import HostOS
import Balancing
import Controller
import Coordination
import EvenkeelCLI
import Fleet
import Lab
import Ledger
import Settings

/// The demonstration: its steps and its observations.
struct Demo {
    let lab: HostLab
    /// Time limit for the fleet to reach balance.
    let balanceLimit: Duration
    let settings: Settings
    let ledger: any FleetLedger

    private(set) var core: ControllerCore
    private var follower: LedgerFollower
    private(set) var samples: [LoadSample] = []
    private var live = LiveView()
    private var spoken: [String: String] = [:]
    private var lastLoadLine: Instant?

    private(set) var startedAt = Instant.now
    private(set) var controlledAt: Instant?
    private(set) var balancedAt: Instant?
    private(set) var autonomousEnd: Instant?
    private(set) var plainMove: FleetView.Move?
    /// The findings of the captures, and the number of packets they dropped.
    private(set) var escortedWire: (found: CaptureFindings, dropped: Int)?
    private(set) var plainWire: (found: CaptureFindings, dropped: Int)?

    /// Long enough to measure the work rate of an overloaded host and of a balanced one.
    private static let watchTime: Duration = .seconds(12)

    init(lab: HostLab, balanceLimit: Duration) throws {
        self.lab = lab
        self.balanceLimit = balanceLimit
        settings = lab.settings
        ledger = try lab.ledger(as: .operator)
        core = ControllerCore(policy: lab.settings.policy)
        follower = LedgerFollower(ledger)
    }

    mutating func play() async throws {
        let programs = try Programs.nextToThisProcess()
        startedAt = .now
        live.keep(
            "\n== 1. All \(lab.guests.count) VMs run on h1, which has \(cores(lab)) cores: the VMs slow down =="
        )
        try await lab.startAgents(programs, settings: settings)
        try lab.configure(settings)
        try await waitForSamples()
        try await watch(for: Self.watchTime)

        live.keep(
            "\n== 2. The controller waits until the overload is lasting, then orders moves =="
        )
        let capturePath = "\(lab.site.stateFolder)/escorted.pcap"
        let capture = try await lab.capture(to: capturePath)
        controlledAt = .now
        try await lab.startController(programs)
        try await reachLastingBalance()
        autonomousEnd = .now
        try await lab.killController(signal: .terminate)
        let dropped = try await capture.stop()
        escortedWire = (try await PacketCapture(path: capturePath).search(for: Self.secret), dropped)

        live.keep("\n== 4. For comparison: one unprotected move, ordered manually ==")
        try await moveInTheClear()
        live.keep("")
    }

    /// The prefix of every guest's secret.
    static let secret = "EVENKEEL-SECRET-"

    private func cores(_ lab: HostLab) -> String {
        Units.decimals(lab.hosts.first?.capacity.cores ?? 0, 1)
    }

    private mutating func waitForSamples() async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while core.hosts.count < lab.hosts.count {
            guard ContinuousClock.now < deadline else {
                let missing = lab.hosts.filter { core.hosts[$0.name] == nil }
                throw DemoError.noSamples(of: missing.map(\.name), logs: missing.map { $0.logPath(of: "agent") })
            }
            try await look()
        }
    }

    private mutating func watch(for duration: Duration) async throws {
        let end = ContinuousClock.now + duration
        while ContinuousClock.now < end { try await look() }
    }

    /// Waits until balance lasts for a while; gives up at the time limit, after the running moves have ended.
    private mutating func reachLastingBalance() async throws {
        let deadline = ContinuousClock.now + balanceLimit
        repeat {
            try await waitForBalance(until: deadline)
            guard balancedAt != nil else { break }
            live.keep("\n== 3. In balance: the same guests, none of them constrained ==")
            try await watch(for: Self.watchTime)
            if isCalm { return }
            live.keep("\nNot stable yet, continuing.")
            balancedAt = nil
        } while ContinuousClock.now < deadline
        let patience = ContinuousClock.now + settings.migration.timeLimit
        while !core.snapshot(at: .now).movesInFlight.isEmpty, ContinuousClock.now < patience {
            try await look()
        }
    }

    private mutating func waitForBalance(until deadline: ContinuousClock.Instant) async throws {
        // As many consecutive calm samples as it takes to call a host overloaded.
        let lasting = settings.sampling.interval * settings.policy.overloadWindow
        var calmSince: ContinuousClock.Instant?
        while ContinuousClock.now < deadline {
            try await look()
            guard isCalm else {
                calmSince = nil
                continue
            }
            let since = calmSince ?? ContinuousClock.now
            calmSince = since
            if ContinuousClock.now - since >= lasting {
                balancedAt = .now
                return
            }
        }
    }

    /// Whether moves have been made, none is running and no host is overloaded or unknown.
    private var isCalm: Bool {
        let now = Instant.now
        let snapshot = core.snapshot(at: now)
        return snapshot.movesInFlight.isEmpty && core.orders.values.contains { $0.stage == .done }
            && snapshot.hosts.allSatisfy {
                $0.judgement(in: snapshot, policy: core.policy).verdict.hasHeadroom
            }
    }

    private mutating func moveInTheClear() async throws {
        let view = FleetView(core, at: .now)
        // From the host with the most VMs to the one with the fewest: this disturbs the balance least.
        let byCount = view.hosts.sorted {
            ($0.sample?.vms?.count ?? 0, $1.name) < ($1.sample?.vms?.count ?? 0, $0.name)
        }
        guard let target = byCount.first, let source = byCount.last, let vm = source.sample?.vms?.first else {
            throw DemoError.nothingToMove
        }
        let path = "\(lab.site.stateFolder)/plain.pcap"
        let capture = try await lab.capture(to: path)
        let order = try ManualOrder.make(
            moving: vm.id.rawValue,
            to: target.name,
            channel: .plain,
            policy: settings.policy,
            view: view,
            removed: [:]
        )
        try await ledger.append(OrderRecord.migrate(order: order))
        live.keep("evenkeel migrate \(vm.name) \(target.name) --channel plain")
        let move = try await ManualOrder.follow(order, in: ledger, settings: settings) { live.keep("  \($0)") }
        let dropped = try await capture.stop()
        plainWire = (try await PacketCapture(path: path).search(for: Self.secret), dropped)
        plainMove = move
        // The plot includes the hosts' load during this move.
        try await look()
        guard move.stage == .done else {
            throw ManualOrderError.notMoved(move.failure?.text ?? "the order ended without an outcome")
        }
    }

    // MARK: observing

    /// Reads new ledger entries and shows them; takes half a second.
    private mutating func look() async throws {
        var new: [LoadSample] = []
        try await follower.pull(into: &core, seen: { new.append($0) })
        samples += new
        let view = FleetView(core, at: .now)
        for host in view.hosts {
            say(
                "\(host.name) is \(host.verdict): \(host.reason)",
                about: host.name.rawValue,
                host.verdict.hasHeadroom ? "at ease" : host.verdict.rawValue
            )
        }
        for move in view.moves {
            let what = "\(move.order.vmName) from \(move.order.source) to \(move.order.target)"
            say("order: move \(what): \(move.order.reason)", about: "order \(move.order.id)", "")
            switch move.stage {
            case .submitted: break
            case .done: say("done: \(ManualOrder.summary(move))", about: move.order.id.rawValue, move.stage.rawValue)
            case .failed:
                say(
                    "failed: \(what): \(move.failure?.text ?? "?")",
                    about: move.order.id.rawValue,
                    move.stage.rawValue
                )
            default: say("\(move.stage): \(what)", about: move.order.id.rawValue, move.stage.rawValue)
            }
        }
        if standardOutputIsTerminal {
            live.draw(DemoView(view: view, rates: latestRates).text)
        } else if lastLoadLine.map({ view.at - $0 >= .seconds(5) }) ?? true {
            lastLoadLine = view.at
            printLine(DemoView(view: view, rates: latestRates).line)
        }
        try await Task.sleep(for: .milliseconds(500))
    }

    /// Prints a message once, and again when `key` has changed.
    private mutating func say(_ text: String, about subject: String, _ key: String) {
        guard spoken[subject] != key else { return }
        spoken[subject] = key
        let elapsed = Units.decimals((Instant.now - startedAt).inSeconds, 1)
        live.keep("\(String(repeating: " ", count: max(0, 6 - elapsed.count)))\(elapsed) s  \(text)")
    }

    private var latestRates: [(vm: String, rate: Double?)] {
        lab.guests.map { ($0.name, (try? lab.console(of: $0))?.readings.last?.rate) }
    }
}

/// The reasons why the demonstration cannot continue.
enum DemoError: Error, CustomStringConvertible {
    case noSamples(of: [HostName], logs: [String])
    case nothingToMove

    var description: String {
        switch self {
        case .noSamples(let hosts, let logs):
            "no samples from \(hosts.map(\.rawValue).joined(separator: ", ")) in the ledger. See \(logs.joined(separator: ", "))"
        case .nothingToMove: "no host has a VM that can be moved"
        }
    }
}
