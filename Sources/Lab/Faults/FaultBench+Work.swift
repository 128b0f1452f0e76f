// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// The checks of the guests' work, and of what a cell leaves.
extension FaultBench {
    /// In this number of units of work a guest checks each page with a known checksum once: 1,024 pages, 8 a unit.
    static let checkingUnits: UInt64 = 130
    /// QEMU's initiator waits up to 30 s between two attempts to reach its disk.
    private static let workLimit: Duration = .seconds(180)

    /// Waits until all guests have worked and the given one has checked all its memory; returns what is broken.
    ///
    /// `marks`: from when on a guest's reported writes must be on its disk.
    func checkWork(of struck: GuestPlan?, since marks: ConsoleMarks) async throws -> [String] {
        let now = ConsoleMarks(lab)
        var waiting = Dictionary(lab.guests.map { ($0.name, "") }, uniquingKeysWith: { first, _ in first })
        _ = try await poll(every: .seconds(1), within: Self.workLimit) { () -> Bool? in
            for guest in lab.guests where waiting[guest.name] != nil {
                let units = guest.number == struck?.number ? Self.checkingUnits : 20
                waiting[guest.name] = Self.missingWork(try now.console(of: guest), units: units)
            }
            return waiting.isEmpty ? true : nil
        }
        if !waiting.isEmpty {
            return waiting.sorted { $0.key < $1.key }.map { "\($0.key) makes no progress: \($0.value)" }
        }
        var broken: [String] = []
        for guest in lab.guests {
            let reported = try marks.console(of: guest).readings.last { $0.diskSequence != nil }?.diskSequence
            // The guest writes while its disk is read: a torn sector is whole the next time.
            var disk = try await lab.disk(of: guest)
            if !disk.problems.isEmpty { disk = try await lab.disk(of: guest) }
            let problems = disk.problems + [disk.loss(reported: reported)].compactMap(\.self)
            broken += problems.map { "disk of \(guest.name): \($0)" }
        }
        log(broken.isEmpty ? "memory and disks are intact" : broken.joined(separator: "; "))
        return broken
    }

    /// Returns what is missing until the guest has done this work, on its memory and its disk; `nil` if nothing.
    static func missingWork(_ console: ConsoleLog, units: UInt64) -> String? {
        guard let first = console.readings.first, let last = console.readings.last else { return "it prints nothing" }
        if let problem = last.memoryProblem ?? last.diskProblem { return problem }
        guard last.units >= first.units else { return "it has booted" }
        guard last.units - first.units >= units else { return "it has done \(last.units - first.units) units of work" }
        guard (last.diskSequence ?? 0) > (first.diskSequence ?? 0) else { return "its disk sequence does not grow" }
        return nil
    }

    /// Waits until nothing of the orders is left on any host; returns what is.
    func waitForRemains(of orders: [OrderID]) async throws -> [String] {
        var left: [String] = []
        _ = try await poll(every: .seconds(2), within: .seconds(120)) { () -> Bool? in
            left = try await lab.remains(of: orders)
            return left.isEmpty ? true : nil
        }
        return left
    }
}

extension HostLab {
    /// Returns the images, encrypted files and open pinholes that are left of orders; gates that are missing, too.
    func remains(of orders: [OrderID]) async throws -> [String] {
        var left: [String] = []
        for order in orders {
            let name = order.rawValue
            left += hosts.filter { $0.hasSealedImage(of: order) }.map { "image of \(name) in \($0.sealedFolder)" }
            let file = "\(site.ledgerFolder)/sealed/\(name)"
            if Files.exists(file) { left.append("encrypted image \(file)") }
        }
        for host in hosts {
            let list = try await host.inside(
                Command("nft", ["list", "table", "inet", "evenkeel"], timeLimit: .seconds(10))
            ).result()
            let open = list.succeeded ? Self.openPinholes(in: list.standardOutput) : ["the gates are missing"]
            left += open.map { "\(host.name): \($0)" }
        }
        return left
    }

    /// Returns the sets of pinholes that have elements, from the output of `nft list table inet evenkeel`.
    static func openPinholes(in table: String) -> [String] {
        var set = ""
        var open: [String] = []
        for line in table.split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.first == "set", words.count > 1 { set = String(words[1]) }
            let isPinhole = ["pinholes_", "in_clear", "out_clear"].contains { set.hasPrefix($0) }
            if words.first == "elements", isPinhole {
                open.append("open pinhole: \(words.dropFirst(2).joined(separator: " "))")
            }
        }
        return open
    }
}
