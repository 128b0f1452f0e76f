// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// One attempt at a cell.
extension FaultBench {
    /// The rate of the cell's move in MiB/s, so that about 60 MiB take 20 s.
    private static let slowRate = 3
    private static let fullRate = 1000
    /// How long a move may take to reach a phase: the tunnel alone may take 20 s.
    private static let phaseLimit: Duration = .seconds(120)

    /// Moves the guest, injects the fault in the cell's phase, and checks everything; sets the verdict.
    ///
    /// The verdict stays `missed` if the move was not in the phase when the fault came.
    mutating func attempt(_ result: inout FaultResult, moving guest: GuestPlan) async throws {
        let cell = result.cell
        guard let here = try await lab.runsOn(guest).first else {
            throw LabError.move(guest: guest.name, reason: "it runs on no host")
        }
        let source = try lab.host(here)
        let others = lab.hosts.filter { $0.name != here }
        let target = others[result.attempts % others.count]
        (result.source, result.target) = (source.name, target.name)
        log("\(cell), attempt \(result.attempts): \(guest.name) on \(source.name)")

        let homes = try await arm()
        let marks = ConsoleMarks(lab)
        try await setRate(Self.slowRate, of: guest, on: source)
        let events = [try await DomainEvents.start(on: source), try await DomainEvents.start(on: target)]
        let order = try await order(guest, from: source.name, to: target.name, over: cell.channel)
        let watch = MoveWatch(order: order, guest: guest, source: source, events: (events[0], events[1]))
        if let missed = try await wait(for: cell, watch) {
            for stream in events { try await stream.end() }
            try await leave(order, guest, because: missed, &result)
            return
        }
        let isLate = try await strike(cell, watch, to: target, &result)
        for stream in events { try await stream.end() }

        let repaired = ContinuousClock.now
        let trial = FaultTrial(cell: cell, guest: guest, from: source, to: target, order, marks, homes, isLate: isLate)
        let seen = try await settle(trial)
        result.settleSeconds = (ContinuousClock.now - repaired) / .seconds(1)
        result.outcome = seen.observation?.outcome(of: guest.name)
        result.end = seen.observation?.end?.text ?? "open"
        result.place = seen.observation?.place(of: guest.name) ?? "unknown"
        log("settled: \(result.end), \(result.place)")
        result.violations = seen.violations
        guard result.violations.isEmpty, let observation = seen.observation else { return }
        let needsOperator = result.outcome?.needsOperator == true
        if needsOperator { try await actAsOperator(guest, observation) }
        result.violations = try await checkWork(guest)
        guard result.violations.isEmpty else { return }
        try await moveAgain(guest, &result)
        guard result.violations.isEmpty, !isLate else { return }
        result.verdict = needsOperator ? .passedWithOperator : .passed
    }

    /// Sets every guest to start with its host; returns where the guests are.
    private func arm() async throws -> [String: HostName] {
        var homes: [String: HostName] = [:]
        for host in lab.hosts {
            for name in try await host.inventory().running {
                homes[name] = host.name
                try await host.virsh(["autostart", name])
            }
        }
        return homes
    }

    func setRate(_ rate: Int, of guest: GuestPlan, on host: LabHost) async throws {
        try await host.virsh(["migrate-setspeed", guest.name, "\(rate)"])
    }

    /// Waits until the move is in the cell's phase; returns why it will not be.
    private mutating func wait(for cell: FaultCell, _ watch: MoveWatch) async throws -> String? {
        let deadline = ContinuousClock.now + Self.phaseLimit
        var last: MovePhase?
        while ContinuousClock.now < deadline {
            try await readReports()
            let trace = watch.trace(of: cell.channel, reports)
            if let phase = trace.phase, phase != last {
                log("phase \(phase.rawValue)")
                last = phase
            }
            switch trace.standing(of: cell.phase) {
            case .reached: return nil
            case .passed:
                let end = end(of: watch.order).map { ", the order ended: \($0.text)" } ?? ""
                return "the move passed \(cell.phase.rawValue) unseen\(end)"
            case .ahead: try await Task.sleep(for: .milliseconds(20))
            }
        }
        return "the move did not reach \(cell.phase.rawValue) within \(Self.phaseLimit)"
    }

    /// Injects the fault, lets it last, and repairs the lab; returns whether the fault came too late for the phase.
    private mutating func strike(
        _ cell: FaultCell,
        _ watch: MoveWatch,
        to target: LabHost,
        _ result: inout FaultResult
    ) async throws -> Bool {
        var isLate = false
        let now = Instant.now
        do {
            try await lab.inject(cell, moving: watch.guest, from: watch.source, to: target)
            log("injected \(cell.component.rawValue)/\(cell.action.rawValue)")
            try await readReports()
            // The end may have been on its way. All clocks are this machine's.
            if reports.contains(where: { $0.order == watch.order && $0.step.isFinal && $0.at <= now }) {
                isLate = true
                result.notes.append("the order ended before the fault came")
            }
        } catch LabError.noProcess(let name, let group) {
            isLate = true
            result.notes.append("no process \(name) in \(group): it had ended, or was not started yet")
        }
        if isLate { log(result.notes.last ?? "") } else { try await Task.sleep(for: cell.duration) }
        try await lab.repair(programs, settings: settings)
        log("repaired")
        return isLate
    }

    /// Lets a move end whose phase was missed.
    private mutating func leave(
        _ order: OrderID,
        _ guest: GuestPlan,
        because reason: String,
        _ result: inout FaultResult
    ) async throws {
        log("missed: \(reason)")
        result.notes.append(reason)
        for host in lab.hosts where try await host.inventory().active.contains(guest.name) {
            // A paused copy refuses; only the host that sends can do it.
            _ = try await host.inside(
                Command("virsh", ["--quiet", "migrate-setspeed", guest.name, "\(Self.fullRate)"])
            ).result()
        }
        let end = try await waitForEnd(of: order, within: Self.settleLimit)
        guard end != nil else {
            result.violations.append("an undisturbed order did not end within \(Self.settleLimit)")
            return
        }
        let violations = try await waitForRest(of: [guest], within: .seconds(60))
        result.violations += violations.map { "after a move without a fault: \($0)" }
    }
}

/// Where the phase of a move is seen.
struct MoveWatch: Sendable {
    let order: OrderID
    let guest: GuestPlan
    let source: LabHost
    let events: (source: DomainEvents, target: DomainEvents)

    func trace(of channel: Channel, _ reports: [OrderReport]) -> MoveTrace {
        MoveTrace(
            channel: channel,
            reports: reports.filter { $0.order == order },
            hasImage: channel == .sealed && source.hasSealedImage,
            isSuspended: events.source.has("Suspended", of: guest),
            runsAtTarget: events.target.has("Resumed", of: guest)
        )
    }
}
