// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Ledger

/// An X.509 certificate and its fields, as read by `openssl`.
public struct Certificate: Sendable, Equatable {
    public var pem: String
    public var facts: CertificateFacts
    public var begins: Instant
    public var key: VerificationKey
    /// The DNS names and addresses for which it is valid.
    public var names: [String]

    /// Reads the first certificate in a PEM text; `path` names it in errors.
    public init(pem text: String, path: String) async throws {
        let printed = try await OpenSSL.run(
            "reading the certificate '\(path)'",
            [
                "x509", "-noout", "-subject", "-issuer", "-startdate", "-enddate", "-dateopt", "iso_8601",
                "-fingerprint", "-sha256", "-pubkey", "-ext", "subjectAltName", "-nameopt", "RFC2253",
            ],
            input: text
        )
        let lines = printed.split(separator: "\n")
        func value(_ key: String) -> Substring? {
            lines.first { $0.lowercased().hasPrefix(key + "=") }?.dropFirst(key.utf8.count + 1)
        }
        guard let subject = value("subject"), let issuer = value("issuer"),
            let fingerprint = value("sha256 fingerprint"), let begins = value("notbefore").flatMap(Dates.parse),
            let expires = value("notafter").flatMap(Dates.parse)
        else { throw IdentityError.file(path: path, reason: "openssl does not print all fields of this certificate") }
        let keyText = lines.drop { $0 != "-----BEGIN PUBLIC KEY-----" }
        guard let last = keyText.firstIndex(of: "-----END PUBLIC KEY-----"),
            let key = try? VerificationKey(pem: keyText[...last].joined(separator: "\n") + "\n")
        else { throw IdentityError.file(path: path, reason: "its key is not an ECDSA key on P-256") }
        self.pem = text.hasSuffix("\n") ? text : text + "\n"
        self.begins = begins
        self.key = key
        facts = CertificateFacts(
            subject: String(subject),
            issuer: String(issuer),
            fingerprint: fingerprint.filter { $0 != ":" }.lowercased(),
            expires: expires
        )
        names = lines.flatMap(Self.names(inLine:))
    }

    /// Returns the names and addresses of each certificate, with one call of `openssl` for many certificates.
    static func names(inEachOf certificates: [String]) async throws -> [[String]] {
        var names: [[String]] = []
        // openssl prints 2 kB per certificate, and `Command` accepts 16 MiB of output.
        for start in stride(from: 0, to: certificates.count, by: 1000) {
            let block = certificates[start..<min(start + 1000, certificates.count)]
            names += try await Self.names(inBlock: Array(block))
        }
        return names
    }

    private static func names(inBlock certificates: [String]) async throws -> [[String]] {
        let step = "reading the members' certificates"
        let printed = try await OpenSSL.run(
            step,
            ["storeutl", "-noout", "-text", "-certs", "/dev/stdin"],
            input: certificates.joined(separator: "\n")
        )
        var names: [[String]] = []
        var namesFollow = false
        for line in printed.split(separator: "\n") {
            if line == "Certificate:" { names.append([]) }
            if namesFollow, !names.isEmpty { names[names.count - 1] += Self.names(inLine: line) }
            namesFollow = line.contains("X509v3 Subject Alternative Name:")
        }
        guard names.count == certificates.count else {
            let reason = "openssl found \(names.count) of \(certificates.count) certificates"
            throw IdentityError.openSSL(step: step, reason: reason)
        }
        return names
    }

    /// Returns the names in a line of `openssl`: `DNS:h1, IP Address:10.0.0.1`.
    private static func names(inLine line: Substring) -> [String] {
        guard line.contains("DNS:") || line.contains("IP Address:") else { return [] }
        return line.split(separator: ",").compactMap { name in
            let parts = name.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } }
            return parts.count == 2 && ["DNS", "IP Address"].contains(parts[0]) ? String(parts[1]) : nil
        }
    }
}
