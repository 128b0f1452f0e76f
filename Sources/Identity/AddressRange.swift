// SPDX-License-Identifier: Apache-2.0

/// A range of host addresses: an IPv4 /24 or an IPv6 /64.
struct AddressRange: Hashable, CustomStringConvertible {
    /// The common prefix of its addresses, in network order.
    private let prefix: [UInt8]

    /// Creates the range that contains an address in the format of `Enrollment.bytes`.
    init(of address: [UInt8]) { prefix = Array(address.prefix(address.count == 4 ? 3 : 8)) }

    /// Returns the default range of inner addresses, of the same family as an address on the LAN.
    static func initial(like address: [UInt8]) -> Self {
        Self(of: address.count == 4 ? [10, 78, 0, 0] : [0xfd, 0x78] + [UInt8](repeating: 0, count: 14))
    }

    private var isIPv4: Bool { prefix.count == 3 }

    func contains(_ address: [UInt8]) -> Bool { Self(of: address) == self }

    /// Returns the lowest host address that is not taken; `nil` if there is none.
    func firstFree(besides taken: Set<[UInt8]>) -> [UInt8]? {
        (1...(isIPv4 ? 254 : UInt64.max)).lazy.map(address).first { !taken.contains($0) }
    }

    /// The range in CIDR notation: `10.78.0.0/24`, `fd78::/64`.
    var description: String { Enrollment.text(of: address(0)) + (isIPv4 ? "/24" : "/64") }

    private func address(_ number: UInt64) -> [UInt8] {
        prefix + (isIPv4 ? [UInt8(number)] : withUnsafeBytes(of: number.bigEndian, Array.init))
    }
}
