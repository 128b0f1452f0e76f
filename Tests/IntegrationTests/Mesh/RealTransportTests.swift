// SPDX-License-Identifier: Apache-2.0
import Fleet
import Identity
import Testing

@testable import Escort

/// Transport mode between real charons; `make test-kernel-esp` runs them in a kernel that has ESP.
extension RealMeshTests {
    private static let port = 49152

    @Test(.enabled(if: Hosts.esp == .kernel), arguments: [IPAddress.Family.v4, .v6])
    func `in transport mode a stream between LAN addresses passes through the SA, and is accounted for`(
        family: IPAddress.Family
    ) async throws {
        try await Hosts.with(2, family: family) { hosts in
            let meshes = try await hosts.meshes(mode: .transport)
            for (from, to) in [(1, 2), (2, 1), (1, 2)] {
                let sa = try await meshes[from - 1].establish(with: hosts.name(to))
                #expect(sa.mode == "TRANSPORT" && sa.implementation == "kernel" && !sa.encapsulated)
                #expect(sa.localIdentity == "h\(from)" && sa.peerIdentity == "h\(to)")
            }
            let channels = meshes.map { Channels(mesh: $0, tls: nil, configured: [.ipsec]) }
            for (from, to) in [(1, 2), (2, 1)] {
                #expect(try await hosts.knock(from: from, hosts.address(to), Self.port) == .silence)
                try await meshes[to - 1]
                    .openPinhole(
                        for: OrderID("o\(to)"),
                        from: hosts.name(from),
                        channel: .ipsec,
                        window: .seconds(60)
                    )
                let passage = try await channels[from - 1]
                    .open(.ipsec, to: hosts.name(to), timeLimit: .seconds(8), window: .seconds(60))
                #expect(passage.route.kind == .direct(address: hosts.address(to)))
                // As QEMU's stream begins in the clear.
                let hits = try await captured(
                    hosts,
                    marker: "QEVM-EVENKEEL-MARKER",
                    from: from,
                    on: to,
                    to: hosts.address(to),
                    Self.port
                )
                #expect(hits == 0)
                let size: UInt64 = 1_000_000
                let evidence = await passage.end(hypervisorBytes: size)
                #expect(evidence.verdict == .covered && evidence.association?.mode == "TRANSPORT")
                // Over IPv6 Linux asks for the policy before it knows the port (tcp_v6_connect): what it then sends past
                // IPsec to begin with, the gate drops.
                #expect(evidence.droppedAtGates.map { $0 <= (family == .v4 ? 0 : 3) } == true)
                let after = try #require(evidence.after), before = try #require(evidence.before)
                #expect(after.bytes - before.bytes >= size)
                #expect(try await meshes[from - 1].gateCounters().clear.packets == 0)
            }
            // To another port the LAN carries the same bytes as ever.
            #expect(try await captured(hosts, marker: "QEVM-EVENKEEL-MARKER", to: hosts.address(2)) > 0)
        }
    }

    @Test(.enabled(if: Hosts.esp == .kernel))
    func `in transport mode nothing reaches or leaves for a migration port without an SA, and ssh does not care`()
        async throws
    {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes(mode: .transport)
            _ = try await meshes[0].establish(with: "h2")
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .ipsec, window: .seconds(600))
            #expect(try await hosts.knock(from: 1, hosts.address(2), Self.port) == .refusal)

            // Both charons die and the SAs with them; the policies stay.
            for host in 1...2 {
                try await hosts.killCharon(host)
                try await hosts.on(host, "ip xfrm state flush")
            }
            let isNoAnswer: @Sendable (Hosts.Answer) -> Bool = { $0 != .refusal && $0 != .connection }
            #expect(try await isNoAnswer(hosts.knock(from: 1, hosts.address(2), Self.port)))
            try await expectServicesReachable(hosts)

            // The policies are gone, too: the source's gate holds it back.
            try await hosts.on(1, "ip xfrm policy flush")
            let before = try await meshes[0].gateCounters().outbound.packets
            #expect(try await isNoAnswer(hosts.knock(from: 1, hosts.address(2), Self.port)))
            #expect(try await meshes[0].gateCounters().outbound.packets > before)
            try await expectServicesReachable(hosts)

            // The source has no gate, either: the target's gate lets nothing in, though the source is the planned one.
            try await hosts.on(1, "nft delete table inet evenkeel")
            try await hosts.on(2, "ip xfrm policy flush")
            let unplanned = try await meshes[1].gateCounters()
            #expect(try await isNoAnswer(hosts.knock(from: 1, hosts.address(2), Self.port)))
            let counters = try await meshes[1].gateCounters()
            #expect(
                counters.unplanned.packets + counters.inbound.packets
                    > unplanned.unplanned.packets + unplanned.inbound.packets
            )
            try await expectServicesReachable(hosts)
            // And it was the gate.
            try await hosts.on(2, "nft delete table inet evenkeel")
            #expect(try await hosts.knock(from: 1, hosts.address(2), Self.port) == .refusal)
        }
    }

    @Test(.enabled(if: Hosts.esp == .kernel))
    func `hosts in different modes do not come together`() async throws {
        try await Hosts.with(2) { hosts in
            let mesh = try hosts.mesh(1, mode: .transport)
            try await mesh.apply(hosts.inventory())
            try await hosts.mesh(2).apply(hosts.inventory())
            let error = await #expect(throws: EscortError.self) { try await mesh.establish(with: "h2") }
            #expect(error == .differentSelectors("h2"))
        }
    }

    @Test(.enabled(if: Hosts.esp == .kernel))
    func `hosts with different migration ports are told so`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = [
                try hosts.mesh(1, mode: .transport),
                try hosts.mesh(2, migrationPorts: 49216...49279, mode: .transport),
            ]
            for mesh in meshes { try await mesh.apply(hosts.inventory()) }
            for (mesh, peer) in [(meshes[0], HostName("h2")), (meshes[1], "h1")] {
                let error = await #expect(throws: EscortError.self) { try await mesh.establish(with: peer) }
                #expect(error == .differentSelectors(peer))
            }
        }
    }

    @Test(.enabled(if: Hosts.esp == .kernel))
    func `in transport mode a knock goes beside IPsec, so that the gate alone answers for it`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes(mode: .transport)
            _ = try await meshes[0].establish(with: "h2")
            func outcomes() async throws -> [GateProbe.Outcome] {
                try await meshes[0].probeGates(of: "h2", at: Instant(milliseconds: 7)).map(\.outcome)
            }
            #expect(try await outcomes() == [.shut, .shut])
            // Nobody encrypts any more, but the policies still hold back what is to be encrypted.
            for host in 1...2 {
                try await hosts.killCharon(host)
                try await hosts.on(host, "ip xfrm state flush")
            }
            let before = try await meshes[1].gateCounters().unplanned.packets
            #expect(try await outcomes() == [.shut, .shut])
            #expect(try await meshes[1].gateCounters().unplanned.packets > before)
            // Open for the planned source's moves, it is shut for what comes beside IPsec.
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .ipsec, window: .seconds(60))
            #expect(try await outcomes() == [.shut, .shut])
            try await hosts.on(2, "nft delete table inet evenkeel")
            #expect(try await outcomes() == [.open, .open])
        }
    }

    @Test(.enabled(if: Hosts.esp == .kernel))
    func `in transport mode TLS goes through IPsec, or nowhere`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let hosts = certified.hosts
            let meshes = [
                try await certified.mesh(1, mode: .transport), try await certified.mesh(2, mode: .transport),
            ]
            func open(_ channel: Channel, _ mesh: Mesh) async throws -> any Passage {
                try await certified.withTLS(servedWith: certified.identityFolder(2).paths) {
                    try await Channels(mesh: mesh, tls: certified.tlsFiles(1), configured: [.tls, .ipsecTLS])
                        .open(channel, to: "h2", timeLimit: .seconds(8), window: .seconds(60))
                }
            }
            for channel in [Channel.tls, .ipsecTLS] {
                try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: channel, window: .seconds(60))
                let passage = try await open(channel, meshes[0])
                #expect(passage.route.kind == .direct(address: hosts.address(2)) && passage.route.tlsName == "h2")
                #expect(try await captured(hosts, marker: "EVENKEEL-MARKER", to: hosts.address(2), Self.port) == 0)
                let evidence = await passage.end(hypervisorBytes: 1_000_000)
                #expect(evidence.channel == channel && evidence.verdict == .covered)
                #expect(evidence.session?.version == "TLSv1.3")
                #expect(evidence.association?.mode == (channel == .ipsecTLS ? "TRANSPORT" : nil))
            }
            // Host 1 in tunnel mode would send it past IPsec: neither lets it begin.
            let other = hosts.mesh(1, credentials: try certified.credentials(1))
            try await hosts.eventually("host 1 is in tunnel mode", within: .seconds(30)) {
                try await other.apply(hosts.inventory())
                return try await !hosts.swanctl(1, "--list-sas").contains("TRANSPORT")
            }
            let atTarget = await #expect(throws: EscortError.self) {
                try await meshes[1].openPinhole(for: OrderID("o2"), from: "h1", channel: .tls, window: .seconds(60))
            }
            #expect(atTarget == .differentSelectors("h1"))
            // And the other way around.
            let source = hosts.mesh(1, credentials: try certified.credentials(1), mode: .transport)
            let target = hosts.mesh(2, credentials: try certified.credentials(2))
            try await hosts.eventually("host 1 is in transport mode, host 2 is not", within: .seconds(30)) {
                for mesh in [source, target] { try await mesh.apply(hosts.inventory()) }
                for host in 1...2 {
                    let list = try await hosts.swanctl(host, "--list-sas")
                    guard !list.contains("TRANSPORT"), !list.contains("TUNNEL") else { return false }
                }
                return true
            }
            let atSource = await #expect(throws: EscortError.self) { try await open(.tls, source) }
            #expect(atSource == .differentSelectors("h2"))
        }
    }

    /// ssh answers from either side, from a port of the migration range, too, as a client's own port may be one.
    private func expectServicesReachable(_ hosts: Hosts) async throws {
        for port in [22, 80, 3260, 16514] {
            #expect(try await hosts.knock(from: 1, hosts.address(2), port) == .refusal, "port \(port)")
        }
        for (from, to) in [(1, 2), (2, 1)] {
            let answer = try await hosts.knock(from: from, hosts.address(to), 22, source: 49160)
            #expect(answer == .refusal, "from port 49160 of host \(from)")
        }
    }
}
