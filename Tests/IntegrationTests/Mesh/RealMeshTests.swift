// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import Testing

@testable import Escort

/// Real charons in namespaces; kernel-libipsec, nftables and routes are those of this machine's kernel.
@Suite(.serialized, .enabled(if: Hosts.canRun), .timeLimit(.minutes(5)))
struct RealMeshTests {
    @Test func `three hosts mesh, prove their paths and send only ESP`() async throws {
        try await Hosts.with(3) { hosts in
            let meshes = try await hosts.meshes()
            let began = ContinuousClock.now
            for (from, to) in [(1, 2), (1, 3), (2, 3), (3, 1), (2, 1), (3, 2)] {
                let sa = try await meshes[from - 1].establish(with: hosts.name(to))
                #expect(sa.suite == "AES_GCM_16-256/CURVE_25519" && sa.mode == .tunnel)
                #expect(sa.encapsulated == (Hosts.esp == .userSpace))
                #expect(sa.localIdentity == "h\(from)" && sa.peerIdentity == "h\(to)")
                #expect(sa.implementation == Hosts.esp)
            }
            print("six proofs, the handshakes of a fresh mesh included, took \(ContinuousClock.now - began)")
            #expect(try await meshes[1].meshStatus().map(\.isUp) == [true, true])

            let marker = "EVENKEEL-MARKER"
            #expect(try await captured(hosts, marker: marker, to: hosts.inner(2)) == 0)
            #expect(try await captured(hosts, marker: marker, to: hosts.address(2)) > 0)
        }
    }

    @Test(arguments: [1, 2])
    func `with charon killed on either side no move is allowed and nothing passes`(killed: Int) async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            try await hosts.killCharon(killed)
            let began = ContinuousClock.now
            let error = await #expect(throws: EscortError.self) {
                try await meshes[0].establish(with: "h2", timeLimit: .seconds(4))
            }
            let took = ContinuousClock.now - began
            print("charon killed on host \(killed): refused after \(took): \(error.map { "\($0)" } ?? "")")
            #expect(took < .seconds(6))
            // The kernel's SAs outlive charon: traffic over them is still encrypted.
            guard Hosts.esp == .userSpace else { return }
            let probe = "(timeout 2 bash -c \"exec 3<>/dev/tcp/\(hosts.inner(2))/9\") 2>&1 || true"
            #expect(try await hosts.on(1, probe).contains("refused") == false)
        }
    }

    @Test(arguments: [1, 2])
    func `a restarted charon gets its mesh back`(killed: Int) async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            try await hosts.killCharon(killed)
            await #expect(throws: EscortError.self) { try await meshes[killed - 1].apply(hosts.inventory()) }
            try await hosts.startCharon(killed)
            let began = ContinuousClock.now
            try await hosts.eventually("the mesh is back", within: .seconds(30)) {
                for mesh in meshes { try await mesh.apply(hosts.inventory()) }
                for mesh in meshes { guard try await mesh.meshStatus().allSatisfy(\.isUp) else { return false } }
                return try await hosts.on(
                    1,
                    "(exec 3<>/dev/tcp/\(hosts.inner(2))/9) 2>&1 || true",
                    timeLimit: .seconds(1)
                )
                .contains("refused")
            }
            print("charon \(killed) restarted: traffic again after \(ContinuousClock.now - began)")
            _ = try await meshes[0].establish(with: "h2")
            _ = try await meshes[1].establish(with: "h1")
        }
    }

    @Test func `a move right after a restart of the peer's charon repairs the tunnel by itself`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            try await hosts.killCharon(2)
            try await hosts.startCharon(2)
            try await meshes[1].apply(hosts.inventory())
            _ = try await meshes[0].establish(with: "h2")
        }
    }

    @Test func `a static route leads a neighbour to the inner address only without the gate`() async throws {
        try await Hosts.with(3) { hosts in
            let mesh = try hosts.mesh(1)
            try await mesh.apply(hosts.inventory([1, 2]))
            try await hosts.on(3, "ip route add \(hosts.inner(1)) via \(hosts.address(1))")
            let probe = "(exec 3<>/dev/tcp/\(hosts.inner(1))/9) 2>&1 || true"

            await #expect(throws: (any Error).self) { try await hosts.on(3, probe, timeLimit: .seconds(2)) }
            #expect(try await mesh.gateCounters().inbound.packets > 0)

            try await hosts.on(1, "nft delete table inet evenkeel")
            #expect(try await hosts.on(3, probe, timeLimit: .seconds(2)).contains("refused"))

            try await mesh.apply(hosts.inventory([1, 2]))
            await #expect(throws: (any Error).self) { try await hosts.on(3, probe, timeLimit: .seconds(2)) }
            // The host's own address still answers.
            let plain = "(exec 3<>/dev/tcp/\(hosts.address(1))/9) 2>&1 || true"
            #expect(try await hosts.on(3, plain, timeLimit: .seconds(2)).contains("refused"))
        }
    }

    @Test func `nothing is sent to a peer's inner address outside the tunnel`() async throws {
        try await Hosts.with(2) { hosts in
            let mesh = try hosts.mesh(1)
            try await hosts.killCharon(1)
            try await hosts.on(1, "ip route add default via \(hosts.address(2))")
            await #expect(throws: EscortError.self) { try await mesh.apply(hosts.inventory()) }
            let probe = "(exec 3<>/dev/tcp/\(hosts.inner(2))/9) 2>&1 || true"
            #expect(try await hosts.on(1, probe).contains("No route to host"))
            // A better route does not open it, either.
            try await hosts.on(1, "ip route add \(hosts.inner(2)) via \(hosts.address(2)) metric 1")
            await #expect(throws: (any Error).self) { try await hosts.on(1, probe, timeLimit: .seconds(2)) }
            #expect(try await mesh.gateCounters().outbound.packets > 0)
        }
    }

    @Test func `both sides may prove the path at the same time, repeatedly`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            for _ in 1...5 {
                async let there = meshes[0].establish(with: "h2")
                async let back = meshes[1].establish(with: "h1")
                let (forth, home) = try await (there, back)
                #expect(forth.peerIdentity == "h2" && home.peerIdentity == "h1")
            }
            // No SAs accumulate: charon may keep an SA for a moment after its replacement.
            try await hosts.eventually("one SA is left") {
                try await hosts.swanctl(1, "--list-sas").split(separator: "\n").count { $0.contains("ESTABLISHED") }
                    == 1
            }
        }
    }

    @Test func `hosts with different keys do not accept each other`() async throws {
        try await Hosts.with(2) { hosts in
            let mesh = try hosts.mesh(1)
            try await mesh.apply(hosts.inventory())
            try await hosts.mesh(2, key: "cluster " + String(repeating: "z", count: 40)).apply(hosts.inventory())
            let error = await #expect(throws: EscortError.self) { try await mesh.establish(with: "h2") }
            #expect(error == .authenticationFailed("h2"))
        }
    }

    @Test func `removing the mesh leaves the host as it was`() async throws {
        try await Hosts.with(2) { hosts in
            let state = "ip addr; ip route; ip -6 route show table main; nft list ruleset; ls \(hosts.hostFolder(1))"
            let before = try await hosts.on(1, state)
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            #expect(try await hosts.on(1, state) != before)
            try await meshes[0].remove()
            #expect(try await timeless(hosts.on(1, state)) == timeless(before))
            #expect(try await hosts.swanctl(1, "--list-conns").isEmpty)
            #expect(try await hosts.swanctl(1, "--list-sas").isEmpty)
        }
    }

    @Test func `a peer that leaves the inventory loses its tunnel, and the others keep theirs`() async throws {
        try await Hosts.with(3) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[1].establish(with: "h1")
            let kept = try await meshes[1].establish(with: "h3")
            try await meshes[1].apply(hosts.inventory([2, 3]))
            #expect(try await meshes[1].meshStatus().map(\.peer) == ["h3"])
            #expect(try await hosts.swanctl(2, "--list-sas").contains("evenkeel-h1") == false)
            #expect(try await meshes[1].meshStatus().first?.association?.outboundSPI == kept.outboundSPI)
            await #expect(throws: EscortError.unknownPeer("h1")) { try await meshes[1].establish(with: "h1") }
        }
    }

    private func timeless(_ text: String) -> [Substring] { text.split(separator: "\n").filter { !$0.contains("lft") } }

    /// Returns the number of markers on the LAN while host 1 sends a megabyte of them to host 2.
    func captured(
        _ hosts: Hosts,
        marker: String,
        to address: String
    ) async throws -> Int {
        let file = hosts.folder + "/\(address).pcap"
        try await hosts.startCapture(to: file)
        let transfer = try await Transfer.start(hosts, to: address)
        try await hosts.on(1, "yes \(marker) | head -c 1000000 > /dev/tcp/\(address)/\(Transfer.port)")
        #expect(try await transfer.received() == 1_000_000)
        let hits = try await hosts.endCapture(file, counting: marker)
        let size = try await hosts.shell("stat -c %s \(file)").trimmed
        #expect(Int(size).map { $0 > 900_000 } == true, "the capture saw \(size) bytes")
        return hits
    }
}
