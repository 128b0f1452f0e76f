// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Lab
import Testing

/// Attacks on a host's migration ports.
enum Assault: String, CaseIterable {
    /// Connects to the ports and closes at once.
    case scan
    /// Connects and sends nothing.
    case silence
    case garbage
    case forgedStream

    /// Attacks once; returns the number of established connections.
    func strike(
        _ attacker: Attacker,
        _ address: String,
        port: UInt16 = 49152,
        patience: Duration = .milliseconds(300)
    ) async throws -> Int {
        switch self {
        case .scan:
            let states = try await attacker.scan(address, ports: HostLab.migrationPorts, timeLimit: patience)
            return states.values.count { $0 == .open }
        case .silence:
            guard let held = try await attacker.hold(address, port: port, timeLimit: patience) else { return 0 }
            try? await Task.sleep(for: .seconds(20))
            held.close()
            return 1
        case .garbage:
            return try await attacker.send(Attacker.garbage(), to: address, port: port, timeLimit: patience) ? 1 : 0
        case .forgedStream:
            return try await attacker.send(Attacker.forgedStream, to: address, port: port, timeLimit: patience) ? 1 : 0
        }
    }

    /// Attacks repeatedly until cancelled; returns the number of established connections.
    ///
    /// Several connections at a time, as the listener waits only for a moment. Two ports, as libvirt uses the second
    /// if the first is not free again after the previous move.
    func keepOn(_ attacker: Attacker, _ address: String) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for port: UInt16 in [49152, 49152, 49153] {
                group.addTask {
                    var reached = 0
                    while !Task.isCancelled {
                        reached += try await strike(attacker, address, port: port, patience: .milliseconds(100))
                        try? await Task.sleep(for: .milliseconds(2))
                    }
                    return reached
                }
            }
            return try await group.reduce(0, +)
        }
    }
}

extension HostLab {
    /// The ports on which QEMU receives migrations.
    static let migrationPorts = gatedPorts.filter { $0 >= 49152 }
}

extension TestLab {
    /// Returns an attacker on the LAN with routes to the hosts' inner addresses.
    func strangerWithRoutes() async throws -> Attacker {
        let stranger = try await lab.stranger()
        for host in lab.hosts {
            let words = ["-n", lab.site.strangerNamespace, "route", "replace", "\(host.innerAddress)/32", "via"]
            try await Command("ip", words + [host.address]).run()
        }
        return stranger
    }

    /// Returns the numbers of packets that a host's gates have dropped, by counter.
    func dropped(_ host: String) async throws -> [String: Int] {
        let list = Command("nft", ["-j", "list", "counters", "table", "inet", "evenkeel"])
        var counts: [String: Int] = [:]
        for item in try await nftables(list, on: host) {
            guard let counter = item["counter"] as? [String: Any], let name = counter["name"] as? String else {
                continue
            }
            counts[name] = counter["packets"] as? Int
        }
        return counts.filter { $0.key.hasPrefix("dropped_") }
    }

    /// Returns the number of open pinholes on a host, for inner and LAN addresses.
    func pinholes(_ host: String) async throws -> Int {
        let list = Command("nft", ["-j", "list", "sets", "table", "inet", "evenkeel"])
        let sets = try await nftables(list, on: host).compactMap { $0["set"] as? [String: Any] }
        let pinholes = sets.filter { ($0["name"] as? String)?.hasPrefix("pinholes_") == true }
        try #require(!pinholes.isEmpty)
        return pinholes.reduce(0) { $0 + (($1["elem"] as? [Any])?.count ?? 0) }
    }

    private func nftables(_ command: Command, on host: String) async throws -> [[String: Any]] {
        let text = try await self.host(host).run(command)
        let reply = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return try #require(reply?["nftables"] as? [[String: Any]])
    }

    /// Switches a gate off: the host also accepts connections to its migration ports from this inner address.
    func openGate(of host: String, for inner: String) async throws {
        let element = "{ \(inner) timeout 600s }"
        try await self.host(host).run(
            Command("nft", ["add", "element", "inet", "evenkeel", "pinholes_inner_ip", element])
        )
    }

    func shutGate(of host: String, for inner: String) async throws {
        try await self.host(host).run(
            Command("nft", ["delete", "element", "inet", "evenkeel", "pinholes_inner_ip", "{ \(inner) }"])
        )
    }
}
