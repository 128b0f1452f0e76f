// SPDX-License-Identifier: Apache-2.0
public import Ledger
public import Fleet
internal import Glibc

/// The subject of a new certificate: the member and the names by which peers know it.
public struct Enrollment: Sendable, Equatable {
    public let name: LedgerWriter
    /// The address on the LAN and the inner address; empty for controller and operator.
    let addresses: [String]

    public static let controller = Enrollment(name: .controller, addresses: [])
    public static let `operator` = Enrollment(name: .operator, addresses: [])

    /// Returns the enrollment of a host; its name and addresses become input of openssl, so only plain ones are allowed.
    public static func host(_ name: HostName, address: String, inner: String) throws(IdentityError) -> Enrollment {
        let text = name.rawValue
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        guard text.utf8.count <= 63, let first = text.utf8.first, isAlphanumeric(first),
            text.utf8.allSatisfy({ isAlphanumeric($0) || "-._".utf8.contains($0) })
        else { throw .badName(text) }
        for address in [address, inner] where bytes(of: address) == nil { throw .badAddress(address) }
        return Enrollment(name: .host(name), addresses: [address, inner])
    }

    /// Parses an IPv4 or IPv6 address in any notation to network byte order; `nil` if it is not an address.
    static func bytes(of address: String) -> [UInt8]? {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, address, &bytes) == 1 { return bytes }
        }
        return nil
    }

    /// Returns an address as text, IPv6 in the short form.
    static func text(of bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The common name; those of controller and operator contain a blank, so that no host can have the same.
    var subject: String { Self.subject(of: name) }

    static func subject(of name: LedgerWriter) -> String {
        switch name {
        case .host(let host): host.rawValue
        case .controller: "evenkeel controller"
        case .operator: "evenkeel operator"
        }
    }

    /// The names in the format of openssl's `subjectAltName`.
    var alternativeNames: String {
        switch name {
        case .host(let host): (["DNS:\(host.rawValue)"] + addresses.map { "IP:\($0)" }).joined(separator: ",")
        case .controller: "URI:evenkeel:controller"
        case .operator: "URI:evenkeel:operator"
        }
    }

    /// Returns the base name of the member's files in the cluster folder.
    static func fileName(of name: LedgerWriter) -> String {
        switch name {
        case .host(let host): "host-\(host.rawValue)"
        case .controller: "controller"
        case .operator: "operator"
        }
    }

    /// Creates a certificate request for the key in a file.
    func request(key: String, to path: String, configuration: String) async throws {
        try await OpenSSL.run(
            "requesting the certificate of \(subject)",
            ["req", "-new", "-key", key, "-out", path, "-subj", "/CN=\(subject)", "-config", configuration]
                + ["-addext", "subjectAltName=\(alternativeNames)"]
        )
    }
}
