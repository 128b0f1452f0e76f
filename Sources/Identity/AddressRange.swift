// SPDX-License-Identifier: Apache-2.0

/// A range of addresses for hosts: a /24 of IPv4, a /64 of IPv6.
struct AddressRange: Hashable, CustomStringConvertible {
    /// The part that all of its addresses begin with, in network order.
    private let prefix: [UInt8]

    /// The one that an address, as `Enrollment.bytes` has it, lies in.
    init(of address: [UInt8]) { prefix = Array(address.prefix(address.count == 4 ? 3 : 8)) }

    /// That of the inner addresses of a cluster's first hosts, whose LAN is of the same family.
    static func initial(like address: [UInt8]) -> Self {
        Self(of: address.count == 4 ? [10, 78, 0, 0] : [0xfd, 0x78] + [UInt8](repeating: 0, count: 14))
    }

    private var isIPv4: Bool { prefix.count == 3 }

    func contains(_ address: [UInt8]) -> Bool { Self(of: address) == self }

    /// The lowest address for a host that is not among those taken; `nil`: there is none.
    func firstFree(besides taken: Set<[UInt8]>) -> [UInt8]? {
        (1...(isIPv4 ? 254 : UInt64.max)).lazy.map(address).first { !taken.contains($0) }
    }

    /// As people write it: `10.78.0.0/24`, `fd78::/64`.
    var description: String { Enrollment.text(of: address(0)) + (isIPv4 ? "/24" : "/64") }

    private func address(_ number: UInt64) -> [UInt8] {
        prefix + (isIPv4 ? [UInt8(number)] : withUnsafeBytes(of: number.bigEndian, Array.init))
    }
}
