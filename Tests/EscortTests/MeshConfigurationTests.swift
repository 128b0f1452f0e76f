// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import Testing

@testable import Escort

@Suite struct MeshConfigurationTests {
    static func inventory(_ names: [String] = ["h1", "h2", "h3"]) -> Inventory {
        Inventory(
            hosts: names.enumerated().map { index, name in
                InventoryHost(
                    name: HostName(name),
                    address: "10.77.0.\(index + 1)",
                    innerAddress: "10.78.0.\(index + 1)",
                    libvirtURI: "qemu+tls://\(name)/system"
                )
            }
        )
    }

    static let key = String(repeating: "k", count: 32)

    func text(_ local: String, _ implementation: ESPImplementation) throws -> String {
        try MeshConfiguration(
            plan: MeshPlan(inventory: Self.inventory(), local: HostName(local)),
            credentials: PreSharedKeys(text: "cluster \(Self.key)", path: "keys"),
            implementation: implementation
        ).text
    }

    @Test func `each peer gets one IKEv2 connection between fixed addresses with one suite`() throws {
        let text = try text("h2", .userSpace)
        let connection = """
                evenkeel-h3 {
                    version = 2
                    local_addrs = 10.77.0.2
                    remote_addrs = 10.77.0.3
                    proposals = aes256gcm16-prfsha256-x25519
                    mobike = no
                    childless = force
                    unique = replace
                    keyingtries = 0
                    dpd_delay = 5s
                    rekey_time = 4h
                    local {
                        auth = psk
                        id = @h2
                    }
                    remote {
                        auth = psk
                        id = @h3
                    }
                    children {
                        evenkeel-h3 {
                            esp_proposals = aes256gcm16-x25519
                            mode = tunnel
                            local_ts = 10.78.0.2/32
                            remote_ts = 10.78.0.3/32
                            start_action = none
                            close_action = start
                            dpd_action = restart
                            rekey_time = 1h
                        }
                    }
                }
            """
        #expect(text.contains(connection))
        #expect(text.contains("evenkeel-h1 {"))
        #expect(!text.contains("evenkeel-h2 {"))
    }

    @Test func `with certificates a peer is pinned to the anchors, its own name and a revocation list`() async throws {
        let plan = try MeshPlan(inventory: Self.inventory(["h1", "h2"]), local: "h1")
        let folder = "/tmp/evenkeel-credentials-\(getpid())"
        mkdir(folder, 0o700)
        defer {
            for name in ["c", "k", "a", "r"] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
        func block(_ label: String, _ text: String) -> String {
            "-----BEGIN \(label)-----\n\(text)\n-----END \(label)-----\n"
        }
        let texts = [
            "c": block("CERTIFICATE", "mine"), "k": block("PRIVATE KEY", "SECRET"),
            "a": block("CERTIFICATE", "new") + block("CERTIFICATE", "old"),
            "r": block("X509 CRL", "new") + block("X509 CRL", "old"),
        ]
        for (name, text) in texts {
            try await PrivateFile.write(text, to: "\(folder)/\(name)")
        }
        let credentials = try CertificateCredentials(
            certificate: "\(folder)/c",
            key: "\(folder)/k",
            anchors: "\(folder)/a",
            revocations: "\(folder)/r"
        )
        let text = try MeshConfiguration(plan: plan, credentials: credentials, implementation: .userSpace).text
        for remote in ["@h2", "10.78.0.2"] {
            #expect(
                text.contains(
                    """
                            remote {
                                auth = pubkey
                                cacerts = evenkeel-1.pem, evenkeel-2.pem
                                revocation = strict
                                id = \(remote)
                            }
                    """
                )
            )
        }
        #expect(credentials.files.count == 6)
        #expect(
            credentials.files.filter { $0.folder == "x509ca" }.map(\.text) == [
                block("CERTIFICATE", "new"), block("CERTIFICATE", "old"),
            ]
        )
        var dumped = text
        dump(credentials, to: &dumped)
        #expect(!dumped.contains("SECRET") && !"\(credentials)".contains("SECRET"))
        // An anchor without a revocation list would refuse every peer.
        try await PrivateFile.write(block("X509 CRL", "new"), to: "\(folder)/r")
        #expect(throws: EscortError.self) {
            try CertificateCredentials(
                certificate: "\(folder)/c",
                key: "\(folder)/k",
                anchors: "\(folder)/a",
                revocations: "\(folder)/r"
            )
        }
    }

    @Test(arguments: [
        ("h1", ESPImplementation.userSpace, ["none"]), ("h3", .userSpace, ["none"]), ("h1", .kernel, ["trap"]),
        ("h3", .kernel, ["trap"]),
    ])
    func `loading starts no child that a reload would close, and only the kernel installs traps`(
        local: String,
        implementation: ESPImplementation,
        actions: [String]
    ) throws {
        let found = try text(local, implementation).split(separator: "\n").compactMap { line in
            line.contains("start_action") ? String(line.split(separator: " ").last ?? "") : nil
        }
        #expect(Set(found) == Set(actions))
    }

    @Test(arguments: [
        "h1 }\nconnections { x", "h1;id", "", "-h1", "h1\"", "h{1", "h1#", "é", String(repeating: "a", count: 64),
    ])
    func `a name with other characters than a host name's is refused`(name: String) {
        let inventory = Self.inventory([name, "h2"])
        #expect(throws: EscortError.self) { try MeshPlan(inventory: inventory, local: HostName("h2")) }
    }

    @Test(arguments: [
        "10.0.0.1/8", "h2.example", "10.0.0.1\n}", "", "10.0.0.256", "%any", "10.0.0.1, 10.0.0.2", "fd78::1",
        "10.77.0.1",
    ])
    func `an address that is malformed, of another family or used twice is refused`(address: String) {
        var inventory = Self.inventory()
        inventory.hosts[1].innerAddress = address
        #expect(throws: EscortError.self) { try MeshPlan(inventory: inventory, local: HostName("h1")) }
    }

    @Test func `names that map to the same connection are refused`() {
        let inventory = Self.inventory(["a.b", "a_b", "c"])
        #expect(throws: EscortError.self) { try MeshPlan(inventory: inventory, local: HostName("c")) }
    }

    @Test func `a host that is not in the inventory has no mesh`() {
        #expect(throws: EscortError.self) { try MeshPlan(inventory: Self.inventory(), local: HostName("h9")) }
    }

    @Test func `a removed host is distinguished from an unknown one`() throws {
        var inventory = Self.inventory(["h1", "h2"])
        inventory.removed = [HostName("h3"): Instant(milliseconds: 0)]
        let plan = try MeshPlan(inventory: inventory, local: "h1")
        let removed = #expect(throws: EscortError.removedPeer("h3", at: Instant(milliseconds: 0))) {
            try plan.peer("h3")
        }
        let words = try #require(removed).description
        #expect(words.contains("h3 was removed from the cluster on 1970-01-01 00:00:00Z"), "\(words)")
        #expect(words.contains("'evenkeel host add h3 "), "\(words)")
        #expect(throws: EscortError.unknownPeer("h4")) { try plan.peer("h4") }
    }

    @Test func `every rule that drops matches an inner address, or the migration or libvirt's ports`() throws {
        let plan = try MeshPlan(inventory: Self.inventory(["h-1", "h2"]), local: HostName("h2"))
        for implementation in [ESPImplementation.kernel, .userSpace, nil] {
            let rules = Gates(
                plan: plan,
                implementation: implementation,
                migrationPorts: Channel.defaultMigrationPorts
            ).ruleset
            #expect(rules.split(separator: "\n").filter { $0.contains("jump migration") }.count == 1)
            #expect(rules.contains("tcp dport 49152-49215 jump migration"))
            // The chain is entered only for those ports.
            let chain = try #require(
                rules.split(separator: "chain migration {").last?.split(separator: "}\n  chain").first
            )
            for rule in rules.split(separator: "\n") where rule.contains("drop ") || rule.hasSuffix("drop") {
                let isOfMigrations = ["dport 49152-49215", "saddr 10.77.0.2 tcp sport 49152-49215", "dport 16509"]
                    .contains { rule.contains($0) }
                #expect(rule.contains("10.78.0.") || isOfMigrations || chain.contains(rule), "\(rule)")
            }
        }
        #expect(
            Gates(plan: plan, implementation: .kernel, migrationPorts: Channel.defaultMigrationPorts).ruleset.contains(
                "meta ipsec missing"
            )
        )
        #expect(
            Gates(plan: plan, implementation: .userSpace, migrationPorts: Channel.defaultMigrationPorts).ruleset
                .contains(
                    "counter name to_h/1"
                )
        )
    }
}
