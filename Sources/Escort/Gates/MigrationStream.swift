// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// A migration that leaves this host through the tunnel: a connection from its inner address to a migration port.
struct MigrationStream: Hashable, Sendable {
    var peer: IPAddress
    /// The migration port at the peer.
    var port: Int

    /// Returns the migrations in the output of `ss -Htan`.
    ///
    /// Connections to a service of this host do not count: their remote port may happen to be a migration port.
    static func all(from inner: IPAddress, to ports: ClosedRange<Int>, ss text: String) -> Set<Self> {
        let rows = text.split(whereSeparator: \.isNewline).map { $0.split(whereSeparator: \.isWhitespace) }
            .filter { $0.count > 4 && $0[0] != "TIME-WAIT" }
        let listeners = Set(rows.filter { $0[0] == "LISTEN" }.map { withoutDevice($0[3]) })
        return Set(
            rows.compactMap { words in
                // The remote end of a listener is not an address.
                guard let here = end(words[3]), let there = end(words[4]), here.address == inner,
                    ports.contains(there.port), here.port >= 1024
                else { return nil }
                let names = [withoutDevice(words[3])] + ["0.0.0.0", "[::]", "*"].map { "\($0):\(here.port)" }
                return listeners.isDisjoint(with: names) ? Self(peer: there.address, port: there.port) : nil
            }
        )
    }

    /// Drops the device that a socket may be bound to: `0.0.0.0%eth0:53`.
    private static func withoutDevice(_ end: Substring) -> String { String(end).replacing(/%[^\]:]*/, with: "") }

    /// Parses `10.77.0.1:49152`, `[fd77::1]:49152`, `[::ffff:10.77.0.1]:49152` or `[fe80::1]%eth0:49152`.
    private static func end(_ text: Substring) -> (address: IPAddress, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { return nil }
        var address = text[..<colon].prefix { $0 != "%" }.filter { $0 != "[" && $0 != "]" }
        if address.hasPrefix("::ffff:"), address.contains(".") { address.removeFirst("::ffff:".count) }
        return IPAddress(address).map { ($0, port) }
    }
}

extension HostGates {
    func migrations(from inner: IPAddress, to ports: ClosedRange<Int>) async throws -> Set<MigrationStream> {
        let list = Command("ss", ["-Htan"])
        let sockets = try await runner.require("listing this host's connections", list)
        return MigrationStream.all(from: inner, to: ports, ss: sockets)
    }
}
