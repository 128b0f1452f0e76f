// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Synchronization
import Testing

@testable import Escort

@Suite struct TransportModeTests {
    let inventory = MeshConfigurationTests.inventory(["h1", "h2"])
    let plan: MeshPlan
    let keys: PreSharedKeys

    init() throws {
        plan = try MeshPlan(inventory: inventory, local: "h2")
        keys = try PreSharedKeys(text: "cluster \(MeshConfigurationTests.key)", path: "keys")
    }

    @Test(arguments: [49152...49215, 49152...49152, 1...4, 32000...33000, 0...65535, 7...7])
    func `ports are divided into what the kernel's policies can match, and nothing beside it`(ports: ClosedRange<Int>) {
        let blocks = TransportPorts.blocks(of: ports)
        #expect(blocks.flatMap { Array($0) } == Array(ports))
        #expect(blocks.allSatisfy { $0.count.nonzeroBitCount == 1 && $0.lowerBound.isMultiple(of: $0.count) })
        #expect(blocks.count < 20)
    }

    @Test func `each direction has a child whose selectors are the migration ports and the proof's`() throws {
        let text = try MeshConfiguration(
            plan: plan,
            credentials: keys,
            implementation: .kernel,
            mode: .transport
        ).text
        func child(_ name: String, _ local: String, _ remote: String) -> String {
            """
                        \(name) {
                            esp_proposals = aes256gcm16-x25519
                            mode = transport
                            local_ts = \(local)
                            remote_ts = \(remote)
                            start_action = trap
                            close_action = none
                            dpd_action = clear
                            rekey_time = 1h
                        }
            """
        }
        let (clients, served) = ("[tcp/32768-65535]", ["[tcp/9]", "[tcp/49152-49215]"])
        let to = child(
            "evenkeel-h1",
            "10.77.0.2/32\(clients)",
            served.map { "10.77.0.1/32\($0)" }.joined(separator: ", ")
        )
        let from = child(
            "evenkeel-_from-h1",
            served.map { "10.77.0.2/32\($0)" }.joined(separator: ", "),
            "10.77.0.1/32\(clients)"
        )
        #expect(text.contains(to + "\n" + from), "\(text)")
        #expect(!text.contains("10.78.0."))
    }

    @Test func `a pinhole lets in through IPsec alone, and nothing goes to a peer's ports beside it`() {
        let rules = Gates(
            plan: plan,
            implementation: .kernel,
            migrationPorts: Mesh.defaultMigrationPorts,
            mode: .transport
        ).ruleset
        let beginning = "tcp flags & (syn | ack) == syn"
        for rule in [
            "ip daddr 10.77.0.2 meta ipsec exists \(beginning) ip saddr @pinholes_lan_ip return",
            "ip daddr 10.77.0.2 ip saddr { 10.77.0.1 } tcp sport 32768-65535 tcp sport != 22 meta ipsec missing"
                + " counter name dropped_in drop",
            "ip daddr { 10.77.0.1 } tcp dport 49152-49215 tcp sport 32768-65535 tcp sport != 22 rt ipsec missing"
                + " counter name dropped_out drop",
            "ip daddr { 10.77.0.1 } tcp dport 49152-49215 \(beginning) tcp sport != 10 rt ipsec missing"
                + " counter name dropped_out drop",
            "ip daddr 10.77.0.1 tcp dport 49152-49215 rt ipsec exists counter name to_h1",
        ] { #expect(rules.contains("    \(rule)\n"), "\(rule)") }
    }

    @Test func `pinholes open on the LAN`() throws {
        let peer = try plan.peer("h1")
        func sets(_ channel: Channel) -> [String] {
            let elements = Pinhole(plan: plan, peer: peer, channel: channel, mode: .transport).elements
            #expect(elements.allSatisfy { $0.address == peer.address })
            return elements.map(\.set)
        }
        #expect(sets(.ipsec) == ["pinholes_lan_ip"])
        #expect(sets(.ipsecTLS) == ["pinholes_lan_ip"])
    }

    @Test func `an SA for other ports than one's own is known by its selectors`() {
        let ports = TransportPorts(migration: 49152...49215)
        #expect(ports.isCovered(by: ["10.77.0.1/32[tcp/discard]", "10.77.0.1/32[tcp/49152-49215]"]))
        #expect(!ports.isCovered(by: ["10.77.0.1/32[tcp/discard]"]))
        #expect(!ports.isCovered(by: ["10.77.0.1/32[tcp/discard]", "10.77.0.1/32[tcp/49184-49215]"]))
        let odd = TransportPorts(migration: 49152...49154)
        #expect(odd.isCovered(by: ["[tcp/9]", "[tcp/49152-49153]", "[tcp/49154]"]))
        #expect(!odd.isCovered(by: ["[tcp/9]", "[tcp/49152-49153]"]))
    }

    @Test func `streams are known by what nft and ss tell of them`() throws {
        func json(_ elements: String) -> String {
            #"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"set": {"family": "inet", "name": "s", "#
                + #""timeout": 86400\#(elements)}}]}"#
        }
        #expect(try MigrationStream.remembered(nft: json("")) == [])
        let elements =
            #", "elem": [{"elem": {"val": {"concat": ["10.77.0.1", 40000, 49152]}, "expires": 86399}}, "#
            + #"{"elem": {"val": {"concat": ["fd77::1", 40001, 49153]}, "timeout": 5, "expires": 4}}]"#
        let first = MigrationStream(peer: try #require(IPAddress("10.77.0.1")), source: 40000, destination: 49152)
        let second = MigrationStream(peer: try #require(IPAddress("fd77::1")), source: 40001, destination: 49153)
        #expect(try MigrationStream.remembered(nft: json(elements)) == [first, second])
        // The host's own services answer whoever comes from such a port: ssh, here at 2222, and iSCSI.
        let sockets = """
            LISTEN 0      128    0.0.0.0:2222 0.0.0.0:*
            LISTEN 0      128    [::]:3260 [::]:*
            LISTEN 0      128    *:2379 *:*
            LISTEN 0      128    127.0.0.53%lo:53 0.0.0.0:*
            LISTEN 0      128    0.0.0.0%eth0:2380 0.0.0.0:*
            LISTEN 0      128    127.0.0.1:40000 0.0.0.0:*
            LISTEN 0      128    10.77.0.2:1030 0.0.0.0:*
            ESTAB 0      0      10.77.0.2:2222 10.77.0.1:49160
            ESTAB 0      0      [fd77::2]:3260 [fd77::1]:49161
            ESTAB 0      0      10.77.0.2:2379 10.77.0.1:49162
            ESTAB 0      0      10.77.0.2:1030 10.77.0.1:49163
            ESTAB 0      0      10.77.0.2%eth0:2380 10.77.0.1:49164
            TIME-WAIT 0      0      10.77.0.2:39999 10.77.0.1:49152
            ESTAB 0      0      10.77.0.2:40000 10.77.0.1:49152
            ESTAB 0      0      [::ffff:10.77.0.2]:40000 [::ffff:10.77.0.1]:49152
            SYN-SENT 0      1      [fd77::2]%eth0:40001 [fd77::1]%eth0:49153
            ESTAB 0      0      10.77.0.2:1029 10.77.0.1:49152
            """
        let all = MigrationStream.sockets(ss: sockets)
        #expect(all.filter(\.isAnswer).map(\.stream.source) == [2222, 3260, 2379, 1030, 2380])
        // Somebody who listens at another address with the port of a migration does not hide it.
        let made = all.filter { !$0.isAnswer }
        let low = MigrationStream(peer: first.peer, source: 1029, destination: 49152)
        #expect(made.map(\.stream) == [first, first, second, low])
        #expect(made.map(\.local.description) == ["10.77.0.2", "10.77.0.2", "fd77::2", "10.77.0.2"])
    }

    /// A host whose charon takes what it is given and has no connection afterwards.
    private func withMesh(
        plugin: String = "kernel-netlink",
        sshPort: Int = 22,
        localPorts: @escaping @Sendable () -> String,
        _ body: (_ mesh: Mesh, _ loaded: () throws -> String, _ loads: () -> Int) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let file = folder + "/evenkeel.conf"
        try "connections of before".write(toFile: file, atomically: false, encoding: .utf8)
        let commands = Mutex<[Command]>([])
        let mesh = Mesh(
            local: "h2",
            credentials: keys,
            placement: .alone(folder: folder),
            sshPort: sshPort,
            mode: .transport,
            runner: CommandRunner { command, _ in
                commands.withLock { $0.append(command) }
                let said =
                    switch command.program {
                    case "swanctl" where command.arguments.contains("--stats"):
                        "stats reply {\n  plugins = [\n    \(plugin)\n  ]\n}\n"
                    case "cat": localPorts()
                    default: ""
                    }
                return CommandResult(exitCode: 0, standardOutput: said)
            }
        )
        try await body(
            mesh,
            { try String(contentsOfFile: file, encoding: .utf8) },
            { commands.withLock { $0.count { $0.arguments.contains("--load-all") } } }
        )
    }

    private static let fewPorts = "32768\t60999\n"
    private static let allPorts = "1024\t65535\n"

    /// What a host says that can do all but open its tunnels.
    private func refusal(
        plugin: String = "kernel-netlink",
        localPorts: String = fewPorts,
        sshPort: Int = 22
    ) async throws -> String? {
        var said: String?
        try await withMesh(plugin: plugin, sshPort: sshPort, localPorts: { localPorts }) { mesh, loaded, loads in
            for _ in 1...2 {
                let error = await #expect(throws: EscortError.self) { try await mesh.apply(inventory) }
                guard case .transportNotHere(let reason) = error else { return }
                #expect(await !mesh.isReady)
                // What was in force before goes, with its credentials, once.
                let text = try loaded()
                #expect(text.contains("the mesh was removed"))
                #expect(loads() == 1)
                said = reason + (error?.description ?? "")
            }
        }
        return said
    }

    @Test func `what charon may have taken halfway goes as well`() async throws {
        let ports = Mutex(Self.allPorts)
        try await withMesh(localPorts: { ports.withLock { $0 } }) { mesh, loaded, loads in
            for (now, isRemoved) in [(Self.allPorts, true), (Self.fewPorts, false), (Self.allPorts, true)] {
                ports.withLock { $0 = now }
                await #expect(throws: EscortError.self) { try await mesh.apply(inventory) }
                let text = try loaded()
                #expect(text.contains("the mesh was removed") == isRemoved)
            }
            #expect(loads() == 3)
        }
    }

    @Test func `where the policies would miss migrations or catch ssh, transport mode is refused`() async throws {
        #expect(try await refusal() == nil)
        for (refused, word) in [
            (try await refusal(plugin: "kernel-libipsec"), "user space"),
            (try await refusal(localPorts: Self.allPorts), "ip_local_port_range"),
            (try await refusal(sshPort: 40022), "ssh"), (try await refusal(sshPort: 9), "ssh"),
        ] {
            #expect(refused?.contains(word) == true && refused?.contains("escort.ipsec_mode") == true)
        }
    }

    @Test func `a move in the clear is not taken where all migrations pass IPsec`() async {
        for (mode, isRefused) in [(IPsecMode.tunnel, false), (.transport, true)] {
            let mesh = Mesh(local: "h2", credentials: keys, mode: mode)
            let channels = Channels(mesh: mesh, tls: nil, configured: [.ipsec])
            #expect((try? channels.checkConfigured(.plain)) == nil ? isRefused : !isRefused)
        }
    }
}
