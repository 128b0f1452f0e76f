// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// A move that a fault has struck.
struct FaultTrial: Sendable {
    let cell: FaultCell
    let guest: GuestPlan
    let source: LabHost
    let target: LabHost
    let order: OrderID
    let marks: ConsoleMarks
    /// Where every guest was before.
    let homes: [String: HostName]
    /// Whether the fault came after the order's end: the VM may then run, whatever the fault.
    let isLate: Bool

    init(
        cell: FaultCell,
        guest: GuestPlan,
        from source: LabHost,
        to target: LabHost,
        _ order: OrderID,
        _ marks: ConsoleMarks,
        _ homes: [String: HostName],
        isLate: Bool
    ) {
        self.cell = cell
        self.guest = guest
        self.source = source
        self.target = target
        self.order = order
        self.marks = marks
        self.homes = homes
        self.isLate = isLate
    }

    /// Returns the broken rules about all guests.
    func violations(_ observation: FaultObservation) -> [String] {
        let (from, to) = (source.name, target.name)
        var broken = observation.violations(of: cell, guest: guest.name, from: from, to: to, mayRun: isLate)
        let dark = cell.hostWithoutPower.map { $0 == .sourceHost ? from : to }
        for (name, home) in homes.sorted(by: { $0.key < $1.key }) where name != guest.name {
            broken += observation.violations(ofBystander: name, on: home, mayBoot: home == dark)
        }
        return broken
    }
}

/// The checks after a fault.
extension FaultBench {
    /// Time in which a guest with enough CPU checks each page with a known checksum once.
    private static let checkingTime: Duration = .seconds(16)
    /// QEMU's initiator waits up to 30 s between two attempts to reach its disk.
    private static let workLimit: Duration = .seconds(120)
    private static let moveLimit: Duration = .seconds(180)

    /// Waits until every rule holds twice in a row; returns what was seen last, and what is broken then.
    mutating func settle(
        _ trial: FaultTrial
    ) async throws -> (observation: FaultObservation?, violations: [String]) {
        let deadline = ContinuousClock.now + Self.settleLimit
        var holds = 0
        var said: [String] = []
        while true {
            var seen: FaultObservation?
            var broken: [String]
            do {
                try await readReports()
                var observation = try await lab.observe(since: trial.marks)
                observation.end = end(of: trial.order)
                observation.beginnings = reports.count { $0.order == trial.order && $0.begins }
                broken = trial.violations(observation)
                seen = observation
            } catch {
                try Task.checkCancellation()
                broken = ["a host cannot be asked: \(error)"]
            }
            holds = broken.isEmpty ? holds + 1 : 0
            if broken != said {
                log(broken.isEmpty ? "every rule holds" : "waiting: \(broken.joined(separator: "; "))")
                said = broken
            }
            if holds >= 2 || ContinuousClock.now >= deadline { return (seen, broken) }
            try await Task.sleep(for: .seconds(2))
        }
    }

    /// Does what an operator does after an outcome that needs one: one copy remains, and runs.
    func actAsOperator(_ guest: GuestPlan, _ observation: FaultObservation) async throws {
        let name = guest.name
        let running = observation.hosts(with: \.running, name)
        let defined = observation.hosts(with: \.defined, name)
        guard let home = running.first ?? defined.first else {
            throw LabError.move(guest: name, reason: "no host has it, nothing can be started")
        }
        log("as an operator: \(name) shall run on \(home)")
        for host in lab.hosts {
            let isHome = host.name == home
            if observation.hosts(with: \.active, name).contains(host.name), !(isHome && running.contains(home)) {
                try await host.virsh(["destroy", name])
            }
            if !isHome, defined.contains(host.name) { try await host.virsh(["undefine", name]) }
        }
        let host = try lab.host(home)
        try await host.virsh(["autostart", name])
        if !running.contains(home) { try await host.virsh(["start", name], timeLimit: .seconds(60)) }
    }

    /// Waits until all guests have worked on and the struck one has checked its memory; returns what is broken.
    func checkWork(_ struck: GuestPlan) async throws -> [String] {
        let marks = ConsoleMarks(lab)
        let deadline = ContinuousClock.now + Self.workLimit
        var waiting = Dictionary(lab.guests.map { ($0.name, "") }, uniquingKeysWith: { first, _ in first })
        while !waiting.isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .seconds(1))
            for guest in lab.guests where waiting[guest.name] != nil {
                let needed: Duration = guest.number == struck.number ? Self.checkingTime : .seconds(3)
                waiting[guest.name] = Self.missingWork(try marks.console(of: guest), lasting: needed)
            }
        }
        if !waiting.isEmpty {
            return waiting.sorted { $0.key < $1.key }.map { "\($0.key) does not work on: \($0.value)" }
        }
        var broken: [String] = []
        for guest in lab.guests {
            // The guest writes while its disk is read: a torn sector is whole the next time.
            var problems = try await lab.disk(of: guest).problems
            if !problems.isEmpty { problems = try await lab.disk(of: guest).problems }
            broken += problems.map { "disk of \(guest.name): \($0)" }
        }
        log(broken.isEmpty ? "memory and disks are intact" : broken.joined(separator: "; "))
        return broken
    }

    /// Returns what is missing until the guest has worked for so long, on its memory and its disk; `nil` if nothing.
    static func missingWork(_ console: ConsoleLog, lasting: Duration) -> String? {
        guard let first = console.readings.first, let last = console.readings.last else { return "it prints nothing" }
        if let problem = last.memoryProblem ?? last.diskProblem { return problem }
        guard last.uptime >= first.uptime + lasting else { return "it has run for \(last.uptime - first.uptime)" }
        guard (last.diskSequence ?? 0) > (first.diskSequence ?? 0) else { return "its disk sequence does not grow" }
        return nil
    }

    /// Moves the guest over the cell's channel without a fault, as a balanced fleet must be able to.
    mutating func moveAgain(_ guest: GuestPlan, _ result: inout FaultResult) async throws {
        let deadline = ContinuousClock.now + Self.moveLimit
        var ended = "not ordered"
        repeat {
            guard let here = try await lab.runsOn(guest).first else { break }
            let others = lab.hosts.filter { $0.name != here }
            let target = others[result.attempts % others.count].name
            try await setRate(1000, of: guest, on: lab.host(here))
            let order = try await order(guest, from: here, to: target, over: result.cell.channel)
            let end = try await waitForEnd(of: order, within: .seconds(120))
            ended = end?.text ?? "open after 120 s"
            log("next move: \(ended)")
            if end == .done {
                result.violations += try await waitForRest(of: lab.guests, within: .seconds(60))
                return
            }
            result.notes.append("next move: \(ended)")
            try await Task.sleep(for: .seconds(3))
        } while ContinuousClock.now < deadline
        result.violations.append("no move of \(guest.name) succeeded within \(Self.moveLimit): \(ended)")
    }

    /// Waits until the guests run on one host each, which has their definition and autostart; returns what is broken.
    func waitForRest(of guests: [GuestPlan], within limit: Duration) async throws -> [String] {
        let deadline = ContinuousClock.now + limit
        let marks = ConsoleMarks(lab)
        while true {
            var broken: [String]
            do {
                let observation = try await lab.observe(since: marks)
                broken = guests.flatMap { guest in
                    guard let home = observation.hosts(with: \.running, guest.name).first else {
                        return ["\(guest.name): \(observation.place(of: guest.name))"]
                    }
                    return observation.violations(ofBystander: guest.name, on: home, mayBoot: false)
                }
            } catch {
                try Task.checkCancellation()
                broken = ["a host cannot be asked: \(error)"]
            }
            if broken.isEmpty || ContinuousClock.now >= deadline { return broken }
            try await Task.sleep(for: .seconds(1))
        }
    }
}

extension OrderReport {
    /// Whether it begins the move: the first report of a move is the only one without figures.
    fileprivate var begins: Bool {
        if case .running(let progress) = step { progress.bytesTotal == 0 } else { false }
    }
}
