// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import FoundationEssentials

/// A lifecycle event of a domain, as `virsh event --timestamp` prints it.
struct DomainEvent: Sendable, Equatable {
    /// When virsh received it.
    var at: Instant
    var domain: String
    /// The event, such as `Suspended` or `Resumed`.
    var name: String

    /// Parses a line such as `2026-11-30 18:00:55.887+0000: event 'lifecycle' for domain 'vm1': Suspended Paused`.
    ///
    /// Some versions print the domain's name without quotes.
    init?(line: Substring) {
        let parts = line.split(separator: ": ", maxSplits: 2).map(String.init)
        guard parts.count == 3, parts[1].hasPrefix("event 'lifecycle' for domain"),
            let domain = parts[1].split(separator: " ").last?.split(separator: "'").first,
            let name = parts[2].split(separator: " ").first
        else { return nil }
        let time = parts[0].replacing(" ", with: "T").replacing("+0000", with: "Z")
        guard let date = try? Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(time) else { return nil }
        at = Instant(milliseconds: Int64((date.timeIntervalSince1970 * 1000).rounded()))
        self.domain = String(domain)
        self.name = String(name)
    }
}

/// A host's lifecycle events of domains, as libvirt reports them; they are in a file, which is fast to read.
struct DomainEvents: Sendable {
    let host: LabHost
    let log: String

    /// Begins to write the host's events to a new file; returns once libvirt reports them.
    static func start(on host: LabHost) async throws -> DomainEvents {
        let events = DomainEvents(host: host, log: host.logPath(of: "events"))
        let calls = host.logPath(of: "events-calls")
        try Files.remove(events.log)
        try Files.remove(calls)
        try await host.daemon.start(
            [host.enterPath, "stdbuf", "-oL", "virsh", "event", "--event", "lifecycle", "--loop", "--timestamp"],
            log: events.log,
            environment: [
                "LC_ALL": "C", "LIBVIRT_LOG_FILTERS": "1:libvirt.domain", "LIBVIRT_LOG_OUTPUTS": "1:file:\(calls)",
            ]
        )
        // virsh prints nothing when it has registered: events before would be lost.
        try await waitUntil("virsh event on \(host.name)", within: .seconds(15), log: events.log) {
            ((try? Files.text(calls)) ?? "").contains("virConnectDomainEventRegisterAny")
        }
        return events
    }

    /// Whether the host's libvirt had reported such an event at that time, for instance `Suspended`; `nil`: by now.
    func has(_ event: String, of guest: GuestPlan, by time: Instant?) -> Bool {
        ((try? Files.text(log)) ?? "").split(separator: "\n").compactMap(DomainEvent.init(line:)).contains {
            $0.name == event && $0.domain == guest.name && $0.at <= (time ?? $0.at)
        }
    }

    func end() async throws { try await host.daemon.end(named: "virsh", signal: .kill) }
}
