// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import FoundationEssentials

/// The files with which a host authenticates itself in TLS, and verifies others.
public struct TLSFiles: Sendable, Equatable {
    public var certificate: String
    public var key: String
    /// All trusted certificate authorities.
    public var anchors: String
    /// Their revocation lists; `nil`: revocation is not checked.
    public var revocations: String?

    public init(certificate: String, key: String, anchors: String, revocations: String?) {
        self.certificate = certificate
        self.key = key
        self.anchors = anchors
        self.revocations = revocations
    }
}

/// A TLS handshake with a peer's libvirt daemon, which presents the same certificate as its QEMU.
///
/// openssl performs it: this project does not implement TLS.
struct TLSHandshake: Sendable {
    /// libvirt's port for TLS.
    static let port = 16514

    let runner: CommandRunner
    let files: TLSFiles

    struct Result: Sendable, Equatable {
        var session: SessionFacts
        var certificate: CertificateFacts
    }

    /// Performs the handshake and returns the session and the peer's certificate.
    ///
    /// Throws unless our authority issued the certificate for this address, it is not revoked, and the suite reaches
    /// the minimum.
    func perform(with peer: MeshPlan.Member, minimum: MinimumSuite, within limit: Duration) async throws -> Result {
        var arguments = [
            "-connect", "\(peer.address.description.inURI):\(Self.port)", "-cert", files.certificate, "-key", files.key,
            "-verify_ip",
            peer.address.description, "-verify_return_error", "-verify", "4",
            "-min_protocol", "TLSv1.2", "-showcerts",
        ]
        var trusted = [files.anchors]
        if let revocations = files.revocations {
            trusted.append(revocations)
            arguments.append("-crl_check")
        }
        let result: CommandResult
        do {
            result = try await runner(Self.command(trusting: trusted, arguments, within: limit))
        } catch let error as CommandError {
            throw EscortError.noTLS(peer.name, reason: error.description)
        }
        guard result.succeeded else {
            throw EscortError.noTLS(peer.name, reason: Self.errorMessage(result.standardError))
        }
        guard let session = Self.session(in: result.standardOutput),
            let pem = Self.firstCertificate(in: result.standardOutput)
        else { throw EscortError.noTLS(peer.name, reason: "the output of openssl does not contain the session") }
        guard minimum.acceptsTLS(session) else {
            throw EscortError.noTLS(
                peer.name,
                reason: "\(session.version) with \(session.suite) is below the minimum suite, \(minimum.rawValue)"
            )
        }
        return Result(session: session, certificate: try await facts(of: pem, peer.name))
    }

    /// Returns the openssl command that trusts the given files.
    ///
    /// openssl reads only one revocation list from a `-CRL` file, but there is one for each authority while two
    /// overlap. It reads all lists in the `-CAfile`, so that file contains both.
    private static func command(trusting files: [String], _ arguments: [String], within limit: Duration) -> Command {
        let script = #"n=$1; shift; exec openssl s_client -CAfile <(cat -- "${@:1:n}") "${@:n+1}""#
        return Command(
            "bash",
            ["-c", script, "bash", "\(files.count)"] + files + arguments,
            environment: ["LC_ALL": "C"],
            timeLimit: limit
        )
    }

    /// Returns the facts that identify a certificate in PEM.
    private func facts(of pem: String, _ peer: HostName) async throws -> CertificateFacts {
        let text = try await runner.require(
            "reading the certificate of \(peer)",
            Command(
                "openssl",
                [
                    "x509", "-noout", "-subject", "-issuer", "-fingerprint", "-sha256", "-enddate", "-nameopt",
                    "RFC2253", "-dateopt", "iso_8601",
                ]
            ),
            input: pem
        )
        guard let facts = Self.facts(in: text) else {
            throw EscortError.noTLS(peer, reason: "its certificate could not be read")
        }
        return facts
    }

    // MARK: output of openssl

    /// Parses the line `New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384`.
    static func session(in text: String) -> SessionFacts? {
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("New, ") {
            let parts = line.dropFirst("New, ".count).split(separator: ",").map(String.init)
            let marker = " Cipher is "
            guard parts.count == 2, parts[1].hasPrefix(marker) else { continue }
            return SessionFacts(version: parts[0], suite: String(parts[1].dropFirst(marker.count)))
        }
        return nil
    }

    static func firstCertificate(in text: String) -> String? {
        let lines = text.split(whereSeparator: \.isNewline)
        guard let start = lines.firstIndex(of: "-----BEGIN CERTIFICATE-----"),
            let end = lines[start...].firstIndex(of: "-----END CERTIFICATE-----")
        else { return nil }
        return lines[start...end].joined(separator: "\n") + "\n"
    }

    static func facts(in text: String) -> CertificateFacts? {
        var values: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let equals = line.firstIndex(of: "=") else { continue }
            values[line[..<equals].lowercased()] = String(line[line.index(after: equals)...])
        }
        guard let subject = values["subject"], let issuer = values["issuer"],
            let fingerprint = values["sha256 fingerprint"], let end = values["notafter"],
            let expires = try? Date(end.split(separator: " ").joined(separator: "T"), strategy: .iso8601)
        else { return nil }
        return CertificateFacts(
            subject: subject,
            issuer: issuer,
            fingerprint: fingerprint.filter { $0 != ":" }.lowercased(),
            expires: Instant(milliseconds: Int64(expires.timeIntervalSince1970 * 1000))
        )
    }

    /// Returns the reason in `THREAD:error:NUMBER:LIBRARY:FUNCTION:REASON:FILE:LINE:…`; any other line unchanged.
    private static func reason(in line: String) -> String {
        let parts = line.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count > 6 && parts[1] == "error" ? String(parts[5]) : line
    }

    /// Returns the lines that describe the error, without openssl's error numbers.
    private static func errorMessage(_ text: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline).map(String.init)
        let telling = lines.filter { $0.contains("verify error") || $0.contains("rror:") || $0.contains("connect") }
        return (telling.isEmpty ? lines.suffix(2) : telling.prefix(3)).map(reason).joined(separator: "; ")
    }
}
