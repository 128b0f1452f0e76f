// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

extension FaultObservation.Host {
    /// The commands for one virsh that print the lists.
    static let query = ["--name", "--state-running --name", "--all --persistent --name", "--all --autostart --name"]
        .map { "list \($0)" }.joined(separator: "; echo ==; ")

    /// Reads the output of `query`; `echo` ends no line.
    init?(name: HostName, lists: String) {
        let parts = lists.split(separator: "==", omittingEmptySubsequences: false)
            .map { Set($0.split(whereSeparator: \.isWhitespace).map(String.init)) }
        guard parts.count == 4 else { return nil }
        self.init(name: name, active: parts[0], running: parts[1], defined: parts[2], autostart: parts[3])
    }
}

extension LabHost {
    /// Returns the host's VMs, as its own libvirt lists them.
    func inventory() async throws -> FaultObservation.Host {
        let text = try await virsh([FaultObservation.Host.query], timeLimit: .seconds(20))
        guard let inventory = FaultObservation.Host(name: name, lists: text) else {
            throw LabError.file(path: "libvirt on \(name)", reason: "unexpected lists: \(text)")
        }
        return inventory
    }

    /// Whether the image of an order's sealed move is in the host's memory.
    func hasSealedImage(of order: OrderID) -> Bool {
        Files.entries("\(sealedFolder)/\(order.rawValue)").contains { $0.hasSuffix(".image") }
    }
}

/// A place in each guest's console, from which it is read.
struct ConsoleMarks: Sendable {
    /// Contains the last complete line.
    private static let lookBack = 4096

    private let lab: HostLab
    private let marks: [String: Mark]

    private struct Mark {
        var offset: Int
        /// The last disk sequence number before the mark.
        var reported: UInt64?
    }

    init(_ lab: HostLab) {
        self.lab = lab
        marks = Dictionary(
            lab.guests.map { guest in
                let path = lab.consolePath(of: guest)
                let offset = FileWindow.size(of: path)
                let text = (try? FileWindow.text(path, from: max(0, offset - Self.lookBack))) ?? ""
                let reported = ConsoleLog(parsing: text).readings.last { $0.diskSequence != nil }?.diskSequence
                return (guest.name, Mark(offset: offset, reported: reported))
            },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// Returns what the guest has printed since.
    ///
    /// The line that it was printing is incomplete and is skipped.
    func console(of guest: GuestPlan) throws -> ConsoleLog {
        let mark = marks[guest.name] ?? Mark(offset: 0)
        return ConsoleLog(
            parsing: try FileWindow.text(lab.consolePath(of: guest), from: mark.offset),
            after: mark.reported
        )
    }
}

extension HostLab {
    /// Returns where every VM is, asking every host's own libvirt, and what the guests have printed since the marks.
    ///
    /// `end` and `beginnings` remain to be filled in.
    func observe(since marks: ConsoleMarks) async throws -> FaultObservation {
        var found: [FaultObservation.Host] = []
        for host in hosts { found.append(try await host.inventory()) }
        var consoles: [String: FaultObservation.Guest] = [:]
        for guest in guests {
            let console = try marks.console(of: guest)
            consoles[guest.name] = FaultObservation.Guest(
                boots: console.starts,
                setbacks: console.setbacks,
                problems: console.problems
            )
        }
        return FaultObservation(hosts: found, guests: consoles, end: nil, beginnings: 0)
    }

    /// Copies logs, ledger, consoles and the hosts' present state to a folder.
    public func keepEvidence(in folder: String) async throws {
        try Files.makeFolder(folder)
        var copies = [
            (site.ledgerFolder, "ledger"), (site.consoleFolder, "consoles"), (site.infrastructureLogFolder, "logs"),
        ]
        for host in hosts {
            try Files.makeFolder("\(folder)/\(host.name)")
            copies += [
                ("\(host.folder)/logs", "\(host.name)/logs"),
                ("\(host.folder)/etc/libvirt/qemu", "\(host.name)/definitions"),
                ("\(host.folder)/var/log/libvirt", "\(host.name)/libvirt"),
            ]
            // A host that does not answer is part of the evidence.
            let state = try? await host.inside(Command("virsh", ["list --all; list --all --autostart"])).result()
            let text = state.map { $0.standardOutput + $0.standardError } ?? "\(host.name) does not answer\n"
            try Files.write(text, to: "\(folder)/\(host.name)/state.txt")
        }
        for (path, name) in copies where Files.exists(path) {
            _ = try await Command("cp", ["-a", "--", path, "\(folder)/\(name)"]).result()
        }
    }
}
