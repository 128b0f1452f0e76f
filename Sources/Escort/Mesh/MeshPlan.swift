// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The mesh from the viewpoint of one host: the host and its peers, with every value checked.
public struct MeshPlan: Sendable, Equatable {
    struct Member: Sendable, Equatable {
        var name: HostName
        var address: IPAddress
        var inner: IPAddress
        /// Name of its connection in strongSwan, and of that connection's child.
        var connection: String
    }

    /// Prefix of our connections; other connections are not touched.
    static let prefix = "evenkeel-"

    let local: Member
    let peers: [Member]
    /// Hosts removed from the cluster, and when.
    let removed: [HostName: Instant]

    /// Checks the inventory; throws unless every value is an address or a plain name.
    public init(inventory: Inventory, local: HostName) throws(EscortError) {
        var members: [Member] = []
        for host in inventory.hosts { members.append(try Self.member(host)) }
        guard let me = members.first(where: { $0.name == local }) else {
            throw .badInventory(reason: "it does not contain this host, '\(local)'")
        }
        let addresses = members.flatMap { [$0.address, $0.inner] }
        if let twice = Self.firstDuplicate(addresses) {
            throw .badInventory(reason: "the address \(twice) appears twice")
        }
        if let twice = Self.firstDuplicate(members.map(\.connection)) {
            throw .badInventory(reason: "two hosts map to the same connection name '\(twice)'")
        }
        for peer in members where peer.inner.family != me.inner.family || peer.address.family != me.address.family {
            throw .badInventory(reason: "\(peer.name) and \(me.name) have addresses of different families")
        }
        self.local = me
        removed = inventory.removed ?? [:]
        peers = members.filter { $0.name != local }.sorted { $0.name < $1.name }
    }

    func peer(_ name: HostName) throws(EscortError) -> Member {
        if let peer = peers.first(where: { $0.name == name }) { return peer }
        if let at = removed[name] { throw .removedPeer(name, at: at) }
        throw .unknownPeer(name)
    }

    /// Whether this host initiates the connection.
    ///
    /// Only the side with the smaller name does. If both did, each would end up with its own SA. A uniqueness check
    /// that closes one would trigger the other's `close_action`, over and over.
    func initiates(to peer: Member) -> Bool { local.name < peer.name }

    /// Returns the name of a host's connection; replaces dots, which separate sections in strongSwan's settings.
    static func connection(of host: HostName) -> String {
        prefix + String(host.rawValue.map { $0 == "." ? "_" : $0 })
    }

    private static func member(_ host: InventoryHost) throws(EscortError) -> Member {
        let name = host.name.rawValue
        guard name.utf8.count <= 63, name.utf8.first?.isPlainAlphanumeric == true,
            name.utf8.allSatisfy({ $0.isPlainAlphanumeric || "-._".utf8.contains($0) })
        else {
            throw .badInventory(
                reason: "the host name '\(name)' is not 1 to 63 letters, digits, '-', '.' or '_' that begin with"
                    + " a letter or digit"
            )
        }
        guard let address = IPAddress(host.address) else {
            throw .badInventory(reason: "'\(host.address)', the address of \(name), is not an IP address")
        }
        guard let inner = IPAddress(host.innerAddress) else {
            throw .badInventory(reason: "'\(host.innerAddress)', the inner address of \(name), is not an IP address")
        }
        return Member(name: host.name, address: address, inner: inner, connection: connection(of: host.name))
    }

    private static func firstDuplicate<T: Hashable>(_ values: [T]) -> T? {
        var seen: Set<T> = []
        return values.first { !seen.insert($0).inserted }
    }
}

extension UInt8 {
    fileprivate var isPlainAlphanumeric: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
