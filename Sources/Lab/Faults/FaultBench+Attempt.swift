// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// One attempt at a cell.
extension FaultBench {
    /// The rate of the cell's move in MiB/s, so that about 60 MiB take 20 s.
    private static let slowRate = 3
    static let fullRate = 1000
    /// How long a move may take to reach a phase: the tunnel alone may take 40 s.
    private static let phaseLimit: Duration = .seconds(120)

    /// Moves the guest, injects the fault in the cell's phase, and checks everything; sets the verdict.
    ///
    /// The verdict stays `missed` if the move was not in the phase when the fault came.
    mutating func attempt(_ result: inout FaultResult, moving guest: GuestPlan) async throws {
        let cell = result.cell
        result.beginAttempt()
        let homes = try await arm()
        guard let here = homes[guest.name] else { return }
        let source = try lab.host(here)
        let others = lab.hosts.filter { $0.name != here }
        let target = others[result.attempts % others.count]
        (result.source, result.target) = (source.name, target.name)
        log("\(cell), attempt \(result.attempts): \(guest.name) on \(source.name)")

        var daemons = lab.processTable()
        result.violations = daemons.missing
        guard result.violations.isEmpty else { return }
        let marks = ConsoleMarks(lab)
        try await setRate(Self.slowRate, of: guest, on: source)
        let events = (try await DomainEvents.start(on: source), try await DomainEvents.start(on: target))
        let order: OrderID
        if cell.component == .controller {
            order = try await orderByController(guest, from: source.name, to: target.name, over: cell.channel)
            daemons = lab.processTable()
        } else {
            order = try await self.order(guest, from: source.name, to: target.name, over: cell.channel)
        }
        let watch = MoveWatch(order: order, guest: guest, source: source, events: events)
        if let missed = try await wait(for: cell, watch) {
            try await watch.end()
            try await leave(watch, marks, because: missed, &result)
            result.violations += daemons.ended(by: lab.processTable())
            if cell.component == .controller {
                result.violations += try await releaseController(after: end(of: order), of: guest)
            }
            return
        }
        let struckAt = try await strike(cell, watch, to: target, daemons, &result)
        try await watch.end()
        daemons = lab.processTable()
        result.violations += daemons.missing
        let trial = FaultTrial(
            cell: cell,
            watch: watch,
            target: target,
            marks: marks,
            homes: homes,
            struckAt: struckAt
        )
        try await evaluate(trial, &daemons, &result)
        result.violations += daemons.ended(by: lab.processTable())
        guard result.violations.isEmpty, result.verdict == .missed, result.isInPhase else { return }
        result.verdict = result.outcome?.needsOperator == true ? .passedWithOperator : .passed
    }

    /// Sets every guest to start with its host; returns where the guests are.
    private func arm() async throws -> [String: HostName] {
        var homes: [String: HostName] = [:]
        for host in lab.hosts {
            for name in try await host.inventory().running {
                guard homes.updateValue(host.name, forKey: name) == nil else {
                    throw LabError.move(guest: name, reason: "it runs on two hosts before the fault")
                }
                try await host.virsh(["autostart", name])
            }
        }
        for guest in lab.guests where homes[guest.name] == nil {
            throw LabError.move(guest: guest.name, reason: "it runs on no host before the fault")
        }
        return homes
    }

    func setRate(_ rate: Int, of guest: GuestPlan, on host: LabHost) async throws {
        try await host.virsh(["migrate-setspeed", guest.name, "\(rate)"])
    }

    /// Waits until the move is in the cell's phase; returns why it will not be.
    private mutating func wait(for cell: FaultCell, _ watch: MoveWatch) async throws -> String? {
        var last: MovePhase?
        let standing = try await poll(every: .milliseconds(20), within: Self.phaseLimit) {
            () -> MoveTrace.Standing? in
            try await readReports()
            let trace = watch.trace(of: cell.channel, reports)
            if let phase = trace.phase, phase != last {
                log("phase \(phase.rawValue)")
                last = phase
            }
            let standing = trace.standing(of: cell.phase)
            return standing == .ahead ? nil : standing
        }
        switch standing {
        case .reached: return nil
        case .passed, .ahead:
            let end = end(of: watch.order).map { ", the order ended: \($0.text)" } ?? ""
            return "the move passed \(cell.phase.rawValue) before it was recognised\(end)"
        case nil: return "the move did not reach \(cell.phase.rawValue) within \(Self.phaseLimit.text)"
        }
    }

    /// Injects the fault, lets it last, and repairs the lab; returns when it struck, `nil` if nothing was struck.
    ///
    /// Nothing but the fault's victims may end meanwhile.
    private mutating func strike(
        _ cell: FaultCell,
        _ watch: MoveWatch,
        to target: LabHost,
        _ daemons: ProcessTable,
        _ result: inout FaultResult
    ) async throws -> Instant? {
        var struckAt: Instant?
        do {
            struckAt = try await lab.inject(cell, moving: watch.guest, from: watch.source, to: target)
            log("injected \(cell.component.rawValue)/\(cell.action.rawValue)")
            try await Task.sleep(for: cell.duration)
        } catch LabError.noProcess(let name, let group) {
            result.notes.append("no process \(name) in \(group): it had ended, or was not started yet")
            log(result.notes.last ?? "")
        }
        let victims = struckAt == nil ? [] : cell.victims(from: watch.source.name.rawValue, to: target.name.rawValue)
        result.violations += daemons.ended(by: lab.processTable(), except: victims)
        try await readOrders()
        let before = takeOvers
        try await lab.repair(programs, settings: settings)
        if victims.contains("controller") {
            let succeeded = try await poll(every: .milliseconds(300), within: .seconds(30)) { () -> Bool? in
                try await readOrders()
                return takeOvers > before ? true : nil
            }
            if succeeded == nil { result.violations.append("the restarted controller did not record its take-over") }
        }
        log("repaired")
        return struckAt
    }

    /// Lets a move end whose phase was missed: nothing disturbs it, so it must succeed.
    private mutating func leave(
        _ watch: MoveWatch,
        _ marks: ConsoleMarks,
        because reason: String,
        _ result: inout FaultResult
    ) async throws {
        log("missed: \(reason)")
        result.notes.append(reason)
        let guest = watch.guest
        for host in lab.hosts where try await host.inventory().active.contains(guest.name) {
            // A paused copy refuses; only the host that sends can do it.
            _ = try await host.inside(
                Command("virsh", ["--quiet", "migrate-setspeed", guest.name, "\(Self.fullRate)"])
            ).result()
        }
        let end = try await waitForEnd(of: watch.order, within: Self.settleLimit)
        result.end = end?.text ?? "open"
        let violations = Self.violations(ofUndisturbed: end) + (try await waitForRest(since: marks))
        result.violations += violations.map { "after a move without a fault: \($0)" }
    }

    /// Returns the broken rules about the end of an order that nothing disturbed; `nil`: it is open.
    static func violations(ofUndisturbed end: FaultObservation.End?) -> [String] {
        guard let end else { return ["the order did not end within \(settleLimit.text)"] }
        if end.evidence == .leak { return ["the order's evidence shows a leak"] }
        return end.isDone ? [] : ["the order ended: \(end.text)"]
    }
}
