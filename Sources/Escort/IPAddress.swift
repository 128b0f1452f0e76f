// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// An IP address in canonical text form; only this form reaches a command line or a configuration file.
struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    enum Family: Sendable {
        case v4, v6

        /// The protocol keyword of nft's address expressions.
        var nftKeyword: String { self == .v4 ? "ip" : "ip6" }
        /// The element type of nft's sets of such addresses.
        var nftType: String { self == .v4 ? "ipv4_addr" : "ipv6_addr" }
    }

    let family: Family
    let description: String

    /// Parses an address; `nil` unless the whole text is one.
    init?(_ text: String) {
        var v4 = in_addr()
        var v6 = in6_addr()
        var canonical = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let size = socklen_t(canonical.count)
        if inet_pton(AF_INET, text, &v4) == 1, inet_ntop(AF_INET, &v4, &canonical, size) != nil {
            family = .v4
        } else if inet_pton(AF_INET6, text, &v6) == 1, inet_ntop(AF_INET6, &v6, &canonical, size) != nil {
            family = .v6
        } else {
            return nil
        }
        description = String(decoding: canonical.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The address as a host prefix: `10.78.0.1/32`, `fd78::1/128`.
    var hostPrefix: String { description + (family == .v4 ? "/32" : "/128") }
    /// The option of `ip` that selects this family.
    var ipOption: String { family == .v4 ? "-4" : "-6" }
}
