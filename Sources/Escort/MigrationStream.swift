// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import FoundationEssentials

/// A connection of this host to a migration port of another.
struct MigrationStream: Hashable, Sendable {
    var peer: IPAddress
    /// The port here.
    var source: Int
    /// The migration port there.
    var destination: Int

    /// Those that an nft set of addresses and ports has, in what `nft -j list set` printed.
    static func remembered(nft json: String) throws -> Set<Self> {
        let reply = try JSONDecoder().decode(SetReply.self, from: Data(json.utf8))
        return Set(
            reply.nftables.compactMap(\.set).flatMap { $0.elem ?? [] }.compactMap { element in
                let parts = element.elem.val.concat
                guard parts.count == 3, case .text(let text) = parts[0], let peer = IPAddress(text),
                    case .number(let source) = parts[1], case .number(let destination) = parts[2]
                else { return nil }
                return Self(peer: peer, source: source, destination: destination)
            }
        )
    }

    /// A connection of this host's, as `ss` shows it.
    struct Socket: Equatable {
        var local: IPAddress
        var stream: MigrationStream
        /// It is of a port at which this host listens: a service's answers to whoever has such a port.
        var isAnswer: Bool
    }

    /// All connections in what `ss -Htan` printed.
    static func sockets(ss text: String) -> [Socket] {
        let rows = text.split(whereSeparator: \.isNewline).map { $0.split(whereSeparator: \.isWhitespace) }
            .filter { $0.count > 4 && $0[0] != "TIME-WAIT" }
        /// Without the device that a socket may be bound to.
        func place(_ end: Substring) -> String { String(end).replacing(/%[^\]:]*/, with: "") }
        let listeners = Set(rows.filter { $0[0] == "LISTEN" }.map { place($0[3]) })
        // Of a listener the other end is no address.
        return rows.compactMap { words in
            guard let here = end(words[3]), let there = end(words[4]) else { return nil }
            let places = [place(words[3])] + ["0.0.0.0", "[::]", "*"].map { "\($0):\(here.port)" }
            return Socket(
                local: here.address,
                stream: Self(peer: there.address, source: here.port, destination: there.port),
                isAnswer: !listeners.isDisjoint(with: places)
            )
        }
    }

    /// `10.77.0.1:49152`, `[fd77::1]:49152`, `[::ffff:10.77.0.1]:49152`, `[fe80::1]%eth0:49152`.
    private static func end(_ text: Substring) -> (address: IPAddress, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { return nil }
        var address = text[..<colon].prefix { $0 != "%" }.filter { $0 != "[" && $0 != "]" }
        if address.hasPrefix("::ffff:"), address.contains(".") { address.removeFirst("::ffff:".count) }
        return IPAddress(address).map { ($0, port) }
    }

    private struct SetReply: Decodable {
        struct Item: Decodable { var set: List? }
        struct List: Decodable { var elem: [Element]? }
        struct Element: Decodable { var elem: Timed }
        struct Timed: Decodable { var val: Value }
        struct Value: Decodable { var concat: [Part] }
        enum Part: Decodable {
            case number(Int)
            case text(String)

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let number = try? container.decode(Int.self) {
                    self = .number(number)
                } else {
                    self = .text(try container.decode(String.self))
                }
            }
        }
        var nftables: [Item]
    }
}

extension HostGates {
    /// This host's connections to migration ports that IPsec alone encrypts, and that go on.
    ///
    /// Those from its inner address; in transport mode those to its peers; in either mode those that the gates remember.
    func streams(_ plan: MeshPlan, ports: ClosedRange<Int>, mode: IPsecMode) async throws -> Set<MigrationStream> {
        let limit: Duration = .seconds(10)
        let sockets = try await runner.require(
            "listing this host's connections",
            Command("ss", ["-Htan"], timeLimit: limit)
        )
        var remembered: Set<MigrationStream> = []
        for family in [IPAddress.Family.v4, .v6] {
            let list = ["-j", "list", "set", "inet", Gates.table, Gates.throughOut(family)]
            let reply = try await runner.require(
                "reading the gates' list of streams",
                Command("nft", list, timeLimit: limit)
            )
            try remembered.formUnion(MigrationStream.remembered(nft: reply))
        }
        let peers = Set(plan.peers.map(\.address))
        return Set(
            MigrationStream.sockets(ss: sockets).filter { socket in
                let stream = socket.stream
                // What the gates remember they hold to IPsec, whatever it is. Of the others a service's answers, ssh's
                // say, are no migrations.
                if remembered.contains(stream) { return true }
                guard ports.contains(stream.destination), !socket.isAnswer, stream.source >= 1024 else { return false }
                return socket.local == plan.local.inner || mode == .transport && peers.contains(stream.peer)
            }
            .map(\.stream)
        )
    }
}
