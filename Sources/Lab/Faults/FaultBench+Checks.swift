// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The checks after a fault.
extension FaultBench {
    static let moveLimit: Duration = .seconds(180)

    /// Waits for the rules to hold, and checks guests, the next moves and what is left; adds what is broken.
    ///
    /// `daemons`: what runs since the repair.
    mutating func evaluate(
        _ trial: FaultTrial,
        _ daemons: inout ProcessTable,
        _ result: inout FaultResult
    ) async throws {
        let repaired = ContinuousClock.now
        let settled = try await settle(trial)
        result.settleSeconds = (ContinuousClock.now - repaired) / .seconds(1)
        result.record(settled.hit, settled.observation, of: trial)
        log("settled: \(result.end), \(result.place)")
        if !result.isInPhase { log(result.notes.last ?? "") }
        result.violations += settled.violations
        if trial.cell.component == .controller {
            result.violations += daemons.ended(by: lab.processTable())
            result.violations += try await releaseController(after: settled.observation?.end, of: trial.guest)
            daemons = lab.processTable()
        }
        guard result.violations.isEmpty, let observation = settled.observation else { return }

        var starts = 0
        let needsOperator = result.outcome?.needsOperator == true
        if needsOperator { starts = try await actAsOperator(trial, observation, &result) }
        result.violations += try await checkWork(of: trial.guest, since: trial.marks)
        guard result.violations.isEmpty else { return }

        // The boot of a VM that was started meanwhile by mistake is visible now.
        var later = try await observe(trial)
        if needsOperator {
            result.violations += later.violations(of: trial.guest.name, since: observation, boots: starts)
            result.violations += trial.bystanderViolations(later)
        } else {
            result.outcome = later.outcome(of: trial.guest.name)
            result.violations += trial.violations(later, trial.hit(reports))
        }
        guard result.violations.isEmpty else { return }

        let orders = try await moveBothWays(trial, &daemons, &result)
        guard result.violations.isEmpty else { return }
        result.violations += try await checkWork(of: nil, since: trial.marks)
        let earlier = later
        later = try await observe(trial)
        result.violations += lab.guests.flatMap { later.violations(of: $0.name, since: earlier) }
        let left = try await waitForRemains(of: [trial.order] + orders)
        // After a doubt, an image may still be needed.
        if needsOperator { result.notes += left } else { result.violations += left }
    }

    /// Returns the state of all VMs, guests and the trial's order.
    private mutating func observe(_ trial: FaultTrial) async throws -> FaultObservation {
        try await readReports()
        var observation = try await lab.observe(since: trial.marks)
        observation.end = end(of: trial.order)
        observation.beginnings = reports.count { $0.order == trial.order && $0.begins }
        return observation
    }

    /// Waits until every rule holds twice in a row; returns what was observed last, and what is broken then.
    private mutating func settle(
        _ trial: FaultTrial
    ) async throws -> (observation: FaultObservation?, hit: FaultHit, violations: [String]) {
        let deadline = ContinuousClock.now + Self.settleLimit
        var holds = 0
        var logged: [String] = []
        while true {
            var observation: FaultObservation?
            var broken: [String]
            do {
                let now = try await observe(trial)
                broken = trial.violations(now, trial.hit(reports))
                observation = now
            } catch {
                try Task.checkCancellation()
                broken = ["a host cannot be asked: \(error)"]
            }
            holds = broken.isEmpty ? holds + 1 : 0
            if broken != logged {
                log(broken.isEmpty ? "every rule holds" : "waiting: \(broken.joined(separator: "; "))")
                logged = broken
            }
            if holds >= 2 || ContinuousClock.now >= deadline { return (observation, trial.hit(reports), broken) }
            try await Task.sleep(for: .seconds(2))
        }
    }

    /// Moves the guest over the cell's channel without a fault in both directions between source and target: first an
    /// operator, then the controller, as it balances a fleet; returns the orders.
    private mutating func moveBothWays(
        _ trial: FaultTrial,
        _ daemons: inout ProcessTable,
        _ result: inout FaultResult
    ) async throws -> [OrderID] {
        func next(_ here: HostName) -> HostName { here == trial.source.name ? trial.target.name : trial.source.name }
        guard let here = try await lab.runsOn(trial.guest).first else {
            result.violations.append("\(trial.guest.name) runs on no host before its next move")
            return []
        }
        let orders = try await move(trial.guest, from: here, to: next(here), &result)
        guard result.violations.isEmpty else { return orders }
        return try await orders + balance(trial.guest, from: next(here), to: here, &daemons, &result)
    }

    /// Moves the guest without a fault and returns the orders.
    ///
    /// A move that fails is repeated until the time limit.
    private mutating func move(
        _ guest: GuestPlan,
        from source: HostName,
        to target: HostName,
        _ result: inout FaultResult
    ) async throws -> [OrderID] {
        let deadline = ContinuousClock.now + Self.moveLimit
        var orders: [OrderID] = []
        var ended = ""
        repeat {
            try await setRate(1000, of: guest, on: lab.host(source))
            let marks = ConsoleMarks(lab)
            let order = try await order(guest, from: source, to: target, over: result.cell.channel)
            orders.append(order)
            let end = try await waitForEnd(of: order, within: .seconds(120))
            ended = end?.text ?? "open after 120 s"
            log("next move: \(ended)")
            if end?.evidence == .leak { result.violations.append("the evidence of the next move shows a leak") }
            if let end, end.isDone {
                result.violations += try await waitForRest(since: marks)
                return orders
            }
            result.notes.append("next move: \(ended)")
            // It may have ended late, and the VM be there.
            guard try await lab.runsOn(guest) == [source] else { break }
            try await Task.sleep(for: .seconds(3))
        } while ContinuousClock.now < deadline
        result.violations.append(
            "no move of \(guest.name) to \(target) succeeded within \(Self.moveLimit.text): \(ended)"
        )
        return orders
    }

    /// Waits until the guests run on one host each, which has their definition and autostart; returns what is broken.
    func waitForRest(since marks: ConsoleMarks) async throws -> [String] {
        var broken: [String] = []
        _ = try await poll(every: .seconds(1), within: .seconds(60)) { () -> Bool? in
            do {
                let observation = try await lab.observe(since: marks)
                let calm = FaultObservation(hosts: [], guests: [:], end: nil, beginnings: 0)
                broken = lab.guests.flatMap { observation.violations(of: $0.name, since: calm) }
            } catch {
                try Task.checkCancellation()
                broken = ["a host cannot be asked: \(error)"]
            }
            return broken.isEmpty ? true : nil
        }
        return broken
    }
}

extension FaultResult {
    /// Whether the fault struck in the cell's phase; otherwise the attempt shows nothing.
    var isInPhase: Bool { phase == cell.phase }

    /// Records what the fault has struck, and what was observed when every rule held, or at the time limit.
    mutating func record(_ hit: FaultHit, _ observation: FaultObservation?, of trial: FaultTrial) {
        switch hit {
        case .inPhase: phase = cell.phase
        case .otherPhase(let other):
            phase = other
            notes.append("the fault came in phase \(other?.rawValue ?? "none")")
        case .afterEnd: notes.append("the order ended before the fault came")
        case .nothing: break
        }
        outcome = observation?.outcome(of: guest)
        end = observation?.end?.text ?? "open"
        place = observation?.place(of: guest) ?? "unknown"
    }
}

extension OrderReport {
    /// Whether it begins the move: the first report of a move is the only one without figures.
    fileprivate var begins: Bool {
        if case .running(let progress) = step { progress.bytesTotal == 0 } else { false }
    }
}
