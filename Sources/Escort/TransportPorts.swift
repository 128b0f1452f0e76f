// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// What goes through IPsec in transport mode.
///
/// TCP from the ports of clients to the migration ports and to the one at which the path is proven. Nothing of ssh's,
/// whichever side opens it: a fault of the mesh must never cut that.
struct TransportPorts: Sendable {
    /// Where programs connect from (Linux's default begins there); the services' ports, ssh's too, are below.
    static let clients = 32768...65535

    /// Where a knock comes from, which is to go beside IPsec, as an outsider's would: not one of those above, and none
    /// that a program without root can have.
    static let knock = 10

    let migration: ClosedRange<Int>

    /// The ports that are served, in blocks that the kernel's policies can match.
    ///
    /// A policy has a port and a mask: of any other range charon makes a larger one, without a word.
    var served: [ClosedRange<Int>] {
        [Mesh.probePort...Mesh.probePort] + Self.blocks(of: migration)
    }

    /// Whether an SA's selectors are for these very ports, where charon writes them as `10.77.0.2/32[tcp/49152-49215]`
    /// and single ones by the name of their service, if they have one.
    ///
    /// Of two hosts with different ports, it agrees on those that both have.
    func isCovered(by selectors: [String]) -> Bool {
        let ranges = served.filter { $0.count > 1 }.map { "[tcp/\($0.lowerBound)-\($0.upperBound)]" }
        return selectors.count == served.count
            && ranges.allSatisfy { range in selectors.contains { $0.hasSuffix(range) } }
    }

    /// The selectors of an address with the ports that are served there, as swanctl takes them.
    func served(at address: IPAddress) -> String {
        served.map { Self.selector(address, $0) }.joined(separator: ", ")
    }

    /// The selector of an address with the ports of clients there.
    static func clients(at address: IPAddress) -> String { selector(address, clients) }

    private static func selector(_ address: IPAddress, _ ports: ClosedRange<Int>) -> String {
        let range = ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
        return "\(address.hostPrefix)[tcp/\(range)]"
    }

    /// The range in the fewest parts that are 2ⁿ ports from a multiple of 2ⁿ on.
    static func blocks(of ports: ClosedRange<Int>) -> [ClosedRange<Int>] {
        var blocks: [ClosedRange<Int>] = []
        var next = ports.lowerBound
        while next <= ports.upperBound {
            var size = 1
            while next.isMultiple(of: size * 2), next + size * 2 - 1 <= ports.upperBound { size *= 2 }
            blocks.append(next...(next + size - 1))
            next += size
        }
        return blocks
    }
}
