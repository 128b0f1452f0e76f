// SPDX-License-Identifier: Apache-2.0
import Commands
import Fleet
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
            "ip saddr { 10.77.0.1 } ip daddr 10.77.0.2 tcp sport 32768-65535 tcp sport != 22 tcp dport 49152-49215 meta ipsec missing"
                + " counter name dropped_in drop",
            "ip daddr { 10.77.0.1 } tcp dport 49152-49215 tcp sport 32768-65535 tcp sport != 22 rt ipsec missing"
                + " counter name dropped_out drop",
            "ip daddr { 10.77.0.1 } tcp dport 49152-49215 \(beginning) rt ipsec missing counter name dropped_out drop",
            "ip daddr 10.77.0.1 tcp dport 49152-49215 rt ipsec exists counter name to_h1",
        ] { #expect(rules.contains("    \(rule)\n"), "\(rule)") }
    }

    @Test func `pinholes open on the LAN, for a stream in the clear where IPsec alone encrypts it`() throws {
        let peer = try plan.peer("h1")
        func sets(_ channel: Channel) -> [String] {
            let elements = Pinhole(plan: plan, peer: peer, channel: channel, mode: .transport).elements
            #expect(elements.allSatisfy { $0.address == peer.address })
            return elements.map(\.set)
        }
        #expect(sets(.ipsec) == ["pinholes_lan_ip", "in_clear_ip"])
        #expect(sets(.ipsecTLS) == ["pinholes_lan_ip"])
    }

    /// What a host says that can do all but write its configuration.
    private func refusal(
        plugin: String = "kernel-netlink",
        localPorts: String = "32768\t60999\n",
        sshPort: Int = 22
    ) async -> String? {
        let mesh = Mesh(
            local: "h2",
            credentials: keys,
            placement: .alone(folder: "/nowhere"),
            sshPort: sshPort,
            mode: .transport,
            runner: CommandRunner { command, _ in
                let said =
                    switch command.program {
                    case "swanctl" where command.arguments.contains("--stats"):
                        "stats reply {\n  plugins = [\n    \(plugin)\n  ]\n}\n"
                    case "cat": localPorts
                    default: ""
                    }
                return CommandResult(exitCode: 0, standardOutput: said)
            }
        )
        let error = await #expect(throws: EscortError.self) { try await mesh.apply(inventory) }
        guard case .transportNotHere = error else { return nil }
        #expect(await !mesh.isReady)
        return error?.description
    }

    @Test func `where the policies would miss migrations or catch ssh, transport mode is refused`() async {
        #expect(await refusal() == nil)
        for (refused, word) in [
            (await refusal(plugin: "kernel-libipsec"), "user space"),
            (await refusal(localPorts: "1024\t65535\n"), "ip_local_port_range"), (await refusal(sshPort: 40022), "ssh"),
            (await refusal(sshPort: 9), "ssh"),
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
