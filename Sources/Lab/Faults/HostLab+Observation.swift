// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// A host's lifecycle events of domains, as libvirt reports them; they are in a file, which is fast to read.
struct DomainEvents: Sendable {
    let host: LabHost
    let log: String

    /// Begins to write the host's events to a new file.
    static func start(on host: LabHost) async throws -> DomainEvents {
        let events = DomainEvents(host: host, log: host.logPath(of: "events"))
        try Files.remove(events.log)
        try await host.daemon.start(
            [host.enterPath, "stdbuf", "-oL", "virsh", "event", "--event", "lifecycle", "--loop"],
            log: events.log,
            environment: ["LC_ALL": "C"]
        )
        try await waitUntil("virsh event on \(host.name)", within: .seconds(15), log: events.log) {
            !host.daemon.processes(named: "virsh").isEmpty
        }
        return events
    }

    /// Whether the host's libvirt has reported such an event, for instance `Suspended`.
    func has(_ event: String, of guest: GuestPlan) -> Bool {
        ((try? Files.text(log)) ?? "").split(separator: "\n").contains { line in
            line.contains(": \(event)") && (line.contains(" \(guest.name):") || line.contains("'\(guest.name)':"))
        }
    }

    func end() async throws { try await host.daemon.end(named: "virsh", signal: .kill) }
}

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

    /// Whether the image of a sealed move is in the host's memory.
    var hasSealedImage: Bool {
        Files.entries(sealedFolder).contains { order in
            Files.entries("\(sealedFolder)/\(order)").contains { $0.hasSuffix(".image") }
        }
    }
}

/// A place in each guest's console, from which it is read.
struct ConsoleMarks: Sendable {
    private let lab: HostLab
    private let offsets: [String: Int]

    init(_ lab: HostLab) {
        self.lab = lab
        offsets = Dictionary(
            lab.guests.map { ($0.name, FileWindow.size(of: lab.consolePath(of: $0))) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// Returns what the guest has printed since.
    ///
    /// The line that it was printing is incomplete and is skipped.
    func console(of guest: GuestPlan) throws -> ConsoleLog {
        ConsoleLog(parsing: try FileWindow.text(lab.consolePath(of: guest), from: offsets[guest.name] ?? 0))
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
            let last = console.readings.last
            let problems = [last?.memoryProblem.map { "mem=\($0)" }, last?.diskProblem.map { "disk=\($0)" }]
            consoles[guest.name] = FaultObservation.Guest(
                boots: console.starts,
                setbacks: console.setbacks,
                problems: problems.compactMap(\.self) + console.errors
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
