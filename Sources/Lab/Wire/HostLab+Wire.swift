// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import FoundationEssentials

/// A wire between a host and the LAN with a man in the middle.
public struct LabWire: Sendable {
    let network: LabNetwork
    let port: String
    let daemon: Daemon
    let statisticsFile: String
    let log: String

    /// Returns the statistics, at most half a second old.
    public func statistics() throws -> WireStatistics {
        try JSONDecoder().decode(WireStatistics.self, from: Data(try Files.read(statisticsFile)))
    }

    /// Reattaches the host's port to the bridge and ends the process; returns its statistics.
    @discardableResult
    public func remove() async throws -> WireStatistics {
        // The process writes its statistics every 300 ms.
        try await Task.sleep(for: .milliseconds(700))
        let statistics = try statistics()
        try await network.bypassWire(ofPort: port)
        // By group, not by name: a process left behind would write into the statistics of the next wire.
        try await daemon.endAll()
        return statistics
    }
}

extension HostLab {
    private static let wireGroup = "wire"

    /// Inserts a man in the middle between the host and the LAN: each frame of the host then passes a process that
    /// tampers with it.
    ///
    /// Only one wire at a time. `down` removes it too.
    public func insertWire(at host: LabHost, _ programs: Programs, tampering: Tampering) async throws -> LabWire {
        try cgroups.makeGroup(Self.wireGroup)
        let port = host.name.rawValue
        let base = "\(site.infrastructureLogFolder)/wire-\(port)"
        let wire = LabWire(
            network: LabNetwork(site: site),
            port: port,
            daemon: Daemon(cgroups: cgroups, group: Self.wireGroup),
            statisticsFile: "\(base).json",
            log: "\(base).log"
        )
        try Files.remove(wire.statisticsFile)
        let outside = try await wire.network.prepareWire(ofPort: port)
        let lan = LabNetwork.namespaceFile(site.lanNamespace)
        let own = LabNetwork.namespaceFile(site.namespace(ofHost: host.plan.number))
        try await wire.daemon.start(
            [
                "nsenter", "--net=\(lan)", programs.lab, "wire", "--port", port,
                "--outside", outside, "--statistics", wire.statisticsFile, "--noise", "\(tampering.noise)",
                "--seed", "\(tampering.seed)", "--plain-frames", "\(own):eth0",
            ] + [port, outside, LabNetwork.bridgeEnd(ofWire: outside)].flatMap { ["--plain-frames", "\(lan):\($0)"] }
                + tampering.targets.flatMap { target in
                    ["--target", target.map { hexadecimal(UInt64($0), digits: 2) }.joined()]
                },
            log: wire.log
        )
        do {
            try await waitUntil("the wire at \(host.name)", within: .seconds(15), log: wire.log) {
                Files.exists(wire.statisticsFile)
            }
            try await wire.network.divert(port: port)
        } catch {
            try? await wire.network.bypassWire(ofPort: port)
            throw error
        }
        return wire
    }
}

extension LabNetwork {
    /// Returns the name of the end of the wire that is on the bridge.
    static func bridgeEnd(ofWire outside: String) -> String { "\(outside)-lan" }

    /// Creates a pair of interfaces, attaches one end to the bridge, and returns the other.
    func prepareWire(ofPort port: String) async throws -> String {
        let outside = "wire-\(port)"
        let onBridge = Self.bridgeEnd(ofWire: outside)
        try await ip(site.lanNamespace, "link add \(outside) type veth peer name \(onBridge)")
        try await ip(site.lanNamespace, "link set \(onBridge) master \(LabSite.bridge) up")
        try await ip(site.lanNamespace, "link set \(outside) up")
        return outside
    }

    /// Detaches the port from the bridge; its frames then go to the process that listens there.
    func divert(port: String) async throws { try await ip(site.lanNamespace, "link set \(port) nomaster") }

    func bypassWire(ofPort port: String) async throws {
        try await ip(site.lanNamespace, "link set \(port) master \(LabSite.bridge)")
        try await ip(site.lanNamespace, "link del wire-\(port)")
    }
}

extension GuestPlan {
    /// Returns pieces of the guest's memory of which its own check detects any change.
    ///
    /// Each is 32 bytes in the middle of a page with a known checksum. They are derived from the seed, as in guest.c.
    /// Several are needed, because one may be split across two packets.
    public func checkedMemory(pieces: Int = 16) -> [[UInt8]] {
        let (pages, wordsPerPage) = (1024, 512)
        return (0..<pieces).map { piece in
            let word = piece * (pages / pieces) * wordsPerPage + wordsPerPage / 2
            var state = seed &+ UInt64(word) &* 0x9e37_79b9_7f4a_7c15
            return (0..<4).flatMap { _ in
                let value = mix(&state)
                return (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
            }
        }
    }
}
