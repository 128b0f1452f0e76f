// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Ledger
import Synchronization
import Testing

@testable import Identity

/// The choice of a host's address inside the tunnels if the administrator gives none.
@Suite struct InnerAddressTests {
    private let none = Inventory(hosts: [])

    @discardableResult
    private func add(
        _ name: String,
        _ address: String,
        inner: String? = nil,
        lifetime: Duration = ClusterAuthority.memberLifetime,
        to cluster: Cluster
    ) async throws -> InnerAddress {
        let chosen =
            if let inner { InnerAddress(text: inner, reason: "") } else {
                try await cluster.authority.innerAddress(for: HostName(name), address: address, configured: none)
            }
        let enrollment = try Enrollment.host(HostName(name), address: address, inner: chosen.text)
        let folder = cluster.memberFolder("\(name)-\(UInt32.random(in: 0...UInt32.max))")
        try await cluster.authority.add(enrollment, lifetime: lifetime, folder: folder)
        return chosen
    }

    private func remove(_ name: String, from cluster: Cluster) async throws {
        try await cluster.authority.remove(.host(HostName(name)), reason: "sold", ends: [:])
    }

    @Test func `hosts get consecutive addresses, and a gap is filled`() async throws {
        try await Cluster.with { cluster in
            let first = try await add("h1", "10.0.0.1", to: cluster)
            #expect(first == InnerAddress(text: "10.78.0.1", reason: "the first free address in 10.78.0.0/24"))
            #expect(try await add("h2", "10.0.0.2", to: cluster).text == "10.78.0.2")
            try await add("h5", "10.0.0.5", inner: "10.78.0.5", to: cluster)
            #expect(try await add("h3", "10.0.0.3", to: cluster).text == "10.78.0.3")
        }
    }

    @Test(arguments: [
        ("10.0.0.1", "10.9.8.7", "10.9.8.1"), ("10.0.0.1", "fd00:0:0:7::1", "fd00:0:0:7::2"),
        ("fd00::1", "fd78::1", "fd78::2"),
    ])
    func `the range is that of the other hosts`(lan: String, inner: String, next: String) async throws {
        try await Cluster.with { cluster in
            try await add("h1", lan, inner: inner, to: cluster)
            let second = lan.contains(":") ? "fd00::2" : "10.0.0.2"
            #expect(try await add("h2", second, to: cluster).text == next)
        }
    }

    @Test func `the first host of an IPv6 LAN gets an IPv6 address`() async throws {
        try await Cluster.with { cluster in
            let first = try await add("h1", "fd00::1", to: cluster)
            #expect(first == InnerAddress(text: "fd78::1", reason: "the first free address in fd78::/64"))
        }
    }

    @Test func `a removed host's address is free after its certificate expires, and at once for itself`()
        async throws
    {
        let clock = Mutex(Instant.now)
        try await Cluster.with(now: { clock.withLock { $0 } }) { cluster in
            for number in 1...2 {
                try await add("h\(number)", "10.0.0.\(number)", lifetime: .seconds(86400), to: cluster)
            }
            try await remove("h1", from: cluster)
            #expect(try await add("h3", "10.0.0.3", to: cluster).text == "10.78.0.3")
            let back = try await add("h1", "10.0.0.1", to: cluster)
            #expect(back == InnerAddress(text: "10.78.0.1", reason: "its previous address"))
            try await remove("h2", from: cluster)
            clock.withLock { $0 = $0 + .seconds(2 * 86400) }
            #expect(try await add("h4", "10.0.0.4", to: cluster).text == "10.78.0.2")
            // Another host has its old address now.
            #expect(try await add("h2", "10.0.0.2", to: cluster).text == "10.78.0.4")
        }
    }

    @Test func `an inner range that contains any host's LAN address is refused`() async throws {
        try await Cluster.with { cluster in
            func choose(_ address: String) async throws -> InnerAddress {
                try await cluster.authority.innerAddress(for: HostName("h2"), address: address, configured: none)
            }
            await #expect(throws: IdentityError.noInnerAddress(range: "10.78.0.0/24", onLAN: "10.78.0.9")) {
                try await choose("10.78.0.9")
            }
            await #expect(throws: IdentityError.badAddress("h2.example")) { try await choose("h2.example") }
            try await add("h1", "10.0.0.1", inner: "10.0.0.200", to: cluster)
            await #expect(throws: IdentityError.noInnerAddress(range: "10.0.0.0/24", onLAN: "10.0.0.1")) {
                try await choose("10.1.0.2")
            }
        }
    }

    @Test func `a configured address has priority, and those of other hosts are taken`() async throws {
        try await Cluster.with { cluster in
            func host(_ name: String, _ number: Int) -> InventoryHost {
                InventoryHost(
                    name: HostName(name),
                    address: "10.0.0.\(number)",
                    innerAddress: "10.9.0.\(number)",
                    libvirtURI: ""
                )
            }
            let listed = Inventory(hosts: [host("h1", 1), host("h7", 7)])
            func choose(_ name: String, _ address: String) async throws -> InnerAddress {
                try await cluster.authority.innerAddress(for: HostName(name), address: address, configured: listed)
            }
            #expect(
                try await choose("h7", "10.0.0.7")
                    == InnerAddress(text: "10.9.0.7", reason: "from 'hosts' in the configuration")
            )
            #expect(try await choose("h2", "10.0.0.2").text == "10.9.0.2")
            try await add("h3", "10.0.0.3", inner: "10.9.0.2", to: cluster)
            #expect(try await choose("h2", "10.0.0.2").text == "10.9.0.3")
        }
    }

    @Test func `the addresses of many certificates are read in one call`() async throws {
        try await Cluster.with { cluster in
            try await add("h1", "10.0.0.1", inner: "fd00::1", to: cluster)
            try await cluster.authority.add(.operator, folder: cluster.memberFolder("operator"))
            try await add("h2", "10.0.0.2", inner: "fd00::2", to: cluster)
            let certificates = await cluster.authority.roster.members.map(\.certificate)
            let names = try await Certificate.names(inEachOf: certificates)
            var single: [[String]] = []
            for pem in certificates { single.append(try await Certificate(pem: pem, path: "a test's").names) }
            #expect(names == single)
            #expect(names.map(\.count) == [3, 0, 3] && names.last?.prefix(2) == ["h2", "10.0.0.2"])
            // No certificate is skipped: an unreadable one might have any address.
            let error = await #expect(throws: IdentityError.self) {
                try await Certificate.names(inEachOf: certificates + ["none"])
            }
            #expect(error.map { "\($0)" }?.contains("3 of 4 certificates") == true, "\(error as Any)")
        }
    }

    @Test func `a full range is refused, unless there is another one`() async throws {
        try await Cluster.with { cluster in
            func host(_ inner: String) -> InventoryHost {
                InventoryHost(name: HostName(inner), address: "10.0.0.1", innerAddress: inner, libvirtURI: "")
            }
            func choose(_ hosts: [InventoryHost]) async throws -> String {
                let listed = Inventory(hosts: hosts)
                return try await cluster.authority
                    .innerAddress(for: HostName("h1"), address: "10.0.0.2", configured: listed).text
            }
            let full = (1...254).map { host("10.9.0.\($0)") }
            let last = try await choose(Array(full.dropLast()))
            #expect(last == "10.9.0.254")
            let error = IdentityError.noInnerAddress(range: "10.9.0.0/24", onLAN: nil)
            await #expect(throws: error) { _ = try await choose(full) }
            #expect("\(error)".contains("10.9.0.0/24 is full. Set --inner-address"), "\(error)")
            let other = try await choose([host("10.8.0.1")] + full)
            #expect(other == "10.8.0.2")
        }
    }
}
