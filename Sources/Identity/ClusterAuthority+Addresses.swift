// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import Ledger

/// The inner address of a host, which exists only inside the tunnels.
public struct InnerAddress: Sendable, Equatable {
    public let text: String
    /// The reason for its choice, such as `the first free address in 10.78.0.0/24`.
    public let reason: String
    public init(text: String, reason: String) {
        self.text = text
        self.reason = reason
    }
}

extension ClusterAuthority {
    /// Returns the inner address of a host that is added with this address on the LAN.
    ///
    /// It is the host's address in the configuration or the roster; otherwise the first free address in the range of the
    /// other hosts. With several ranges, the range of the host that was added last comes first. A free address is in no
    /// member's certificate. It is not in a removed member's unexpired certificate either: a peer that has not seen the
    /// removal yet would take one host for the other.
    ///
    /// Throws if the range is full, or contains an address of the LAN.
    public func innerAddress(
        for host: HostName,
        address: String,
        configured inventory: Inventory
    ) async throws -> InnerAddress {
        guard let lan = Enrollment.bytes(of: address) else { throw IdentityError.badAddress(address) }
        if let configured = inventory[host]?.innerAddress {
            return InnerAddress(text: configured, reason: "from 'hosts' in the configuration")
        }
        var others = inventory.hosts.filter { $0.name != host }.compactMap(HostAddresses.init)
        var taken: Set = [lan]
        var former: HostAddresses?
        for (member, its) in try await hostsAndAddresses() {
            if member.name == .host(host) {
                former = its
            } else if member.revocation == nil {
                others.append(its)
            } else if member.expires > now() {
                taken.formUnion(its.both)
            }
        }
        taken.formUnion(others.flatMap(\.both))
        if let former, !taken.contains(former.inner) {
            return InnerAddress(text: Enrollment.text(of: former.inner), reason: "its previous address")
        }
        return try Self.firstFree(
            in: others.isEmpty ? [.initial(like: lan)] : others.reversed().map { AddressRange(of: $0.inner) },
            besides: taken,
            lan: [lan] + others.map(\.lan)
        )
    }

    private static func firstFree(
        in ranges: [AddressRange],
        besides taken: Set<[UInt8]>,
        lan: [[UInt8]]
    ) throws(IdentityError) -> InnerAddress {
        for range in ranges where !lan.contains(where: range.contains) {
            guard let free = range.firstFree(besides: taken) else { continue }
            return InnerAddress(text: Enrollment.text(of: free), reason: "the first free address in \(range)")
        }
        throw .noInnerAddress(range: "\(ranges[0])", onLAN: lan.first(where: ranges[0].contains).map(Enrollment.text))
    }

    /// Throws if another member has one of its addresses: peers could not tell the two hosts apart.
    func requireFree(_ enrollment: Enrollment) async throws {
        let own = enrollment.addresses.compactMap(Enrollment.bytes)
        if Set(own).count < own.count, let twice = enrollment.addresses.first { throw IdentityError.sameAddress(twice) }
        for (member, its) in try await hostsAndAddresses()
        where member.name != enrollment.name && member.revocation == nil {
            for (address, bytes) in zip(enrollment.addresses, own) where its.both.contains(bytes) {
                throw IdentityError.addressTaken(address, by: member.name)
            }
        }
    }

    /// Returns the members that are hosts, with the addresses in their certificates.
    private func hostsAndAddresses() async throws -> [(member: Roster.Member, addresses: HostAddresses)] {
        let hosts = roster.members.filter { if case .host = $0.name { true } else { false } }
        let names = try await Certificate.names(inEachOf: hosts.map(\.certificate))
        return zip(hosts, names).compactMap { member, names in
            // The first entry is the name, which may look like an address.
            let addresses = names.dropFirst().compactMap(Enrollment.bytes)
            guard addresses.count == 2 else { return nil }
            return (member, HostAddresses(lan: addresses[0], inner: addresses[1]))
        }
    }
}

/// A host's addresses in network byte order.
private struct HostAddresses {
    let lan: [UInt8]
    let inner: [UInt8]

    var both: [[UInt8]] { [lan, inner] }
}

extension HostAddresses {
    init?(_ host: InventoryHost) {
        guard let lan = Enrollment.bytes(of: host.address), let inner = Enrollment.bytes(of: host.innerAddress) else {
            return nil
        }
        self.init(lan: lan, inner: inner)
    }
}
