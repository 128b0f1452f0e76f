// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Ledger

/// One certificate authority in its own folder: its key, its certificate, and openssl's database of issued ones.
struct Authority: Sendable {
    let folder: String

    private var keyPath: String { "\(folder)/key.pem" }
    private var certificatePath: String { "\(folder)/certificate.pem" }
    var configurationPath: String { "\(folder)/openssl.cnf" }
    private var databasePath: String { "\(folder)/database" }
    private var crlNumberPath: String { "\(folder)/crlnumber" }
    private var requestPath: String { "\(folder)/request.csr" }
    private var issuedFolder: String { "\(folder)/issued" }

    /// Time by which a host's clock may lag and still accept a new certificate.
    private static let clockTolerance: Duration = .seconds(3600)

    func signingKey() throws -> SigningKey {
        do {
            return try SigningKey(pem: IdentityFiles.read(keyPath, secret: true))
        } catch let error as IdentityError {
            throw error
        } catch {
            throw IdentityError.badKey(path: keyPath, reason: "it is not a P-256 key in PEM")
        }
    }

    func certificate() async throws -> Certificate {
        try await Certificate(pem: IdentityFiles.read(certificatePath), path: certificatePath)
    }

    /// Creates an authority in a folder below `anchors`, named after the id of its key.
    static func create(
        in anchors: String,
        cluster: String,
        from now: Instant,
        until end: Instant
    ) async throws
        -> Authority
    {
        let key = SigningKey()
        let id = key.verification.id
        let authority = Authority(folder: "\(anchors)/\(id)")
        try IdentityFiles.makeFolder(authority.issuedFolder, mode: 0o700)
        try IdentityFiles.write(key.pem, to: authority.keyPath, mode: 0o600)
        try IdentityFiles.write(authority.configuration, to: authority.configurationPath)
        try IdentityFiles.write("", to: authority.databasePath)
        try IdentityFiles.write("01\n", to: authority.crlNumberPath)
        let step = "creating the certificate authority"
        try await OpenSSL.run(
            step,
            ["req", "-new", "-config", authority.configurationPath, "-key", authority.keyPath]
                + ["-subj", "/O=Evenkeel \(cluster)/CN=Evenkeel CA \(id)", "-out", authority.requestPath]
        )
        let arguments = ["-selfsign", "-keyfile", authority.keyPath, "-extensions", "anchor"]
        let pem = try await authority.sign(authority.requestPath, step, arguments, from: now, until: end)
        try IdentityFiles.write(pem, to: authority.certificatePath)
        return authority
    }

    /// Signs a member's request, a file, with the names in it (DNS, addresses), and returns the certificate.
    func issue(_ request: String, for subject: String, from now: Instant, until end: Instant) async throws -> String {
        let arguments = ["-keyfile", keyPath, "-cert", certificatePath, "-extensions", "member"]
        return try await sign(request, "issuing the certificate of \(subject)", arguments, from: now, until: end)
    }

    private func sign(
        _ request: String,
        _ step: String,
        _ arguments: [String],
        from now: Instant,
        until end: Instant
    ) async throws -> String {
        let printed = try await OpenSSL.run(
            step,
            ["ca", "-batch", "-notext", "-config", configurationPath, "-in", request]
                + ["-startdate", Dates.generalized(now - Self.clockTolerance), "-enddate", Dates.generalized(end)]
                + arguments
        )
        let lines = printed.split(separator: "\n").drop { $0 != "-----BEGIN CERTIFICATE-----" }
        guard !lines.isEmpty else { throw IdentityError.openSSL(step: step, reason: "it printed no certificate") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Revokes every certificate ever issued for the subject, including renewed ones: each is valid by itself.
    func revokeAll(of subject: String, compromised: Bool) async throws {
        for line in try IdentityFiles.read(databasePath).split(separator: "\n") {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 6, fields[0] == "V", fields[5] == "/CN=\(subject)" else { continue }
            try await OpenSSL.run(
                "revoking a certificate of \(subject)",
                ["ca", "-config", configurationPath, "-keyfile", keyPath, "-cert", certificatePath]
                    + ["-revoke", "\(issuedFolder)/\(fields[3]).pem"]
                    + ["-crl_reason", compromised ? "keyCompromise" : "cessationOfOperation"]
            )
        }
    }

    /// Returns a new revocation list.
    ///
    /// It is valid as long as the authority. The number of the roster shows how new it is, and an expired list would
    /// stop the whole cluster.
    func revocationList(at now: Instant, until end: Instant) async throws -> String {
        try await OpenSSL.run(
            "creating the revocation list",
            ["ca", "-gencrl", "-config", configurationPath, "-keyfile", keyPath, "-cert", certificatePath]
                + ["-crl_lastupdate", Dates.generalized(now - Self.clockTolerance)]
                + ["-crl_nextupdate", Dates.generalized(end)]
        )
    }

    /// libvirt and QEMU require both key usages, although an EC key cannot encipher keys.
    private var configuration: String {
        """
        # Generated by evenkeel for the openssl command.
        [ca]
        default_ca = authority
        [authority]
        database = \(databasePath)
        new_certs_dir = \(issuedFolder)
        crlnumber = \(crlNumberPath)
        rand_serial = yes
        default_md = sha256
        policy = policy
        unique_subject = no
        copy_extensions = copy
        crl_extensions = crl
        [policy]
        organizationName = optional
        commonName = supplied
        [anchor]
        basicConstraints = critical,CA:TRUE,pathlen:0
        keyUsage = critical,keyCertSign,cRLSign
        subjectKeyIdentifier = hash
        [member]
        basicConstraints = critical,CA:FALSE
        keyUsage = critical,digitalSignature,keyEncipherment
        extendedKeyUsage = serverAuth,clientAuth
        subjectKeyIdentifier = hash
        authorityKeyIdentifier = keyid:always
        [crl]
        authorityKeyIdentifier = keyid:always
        [req]
        distinguished_name = name
        prompt = no
        [name]
        commonName = unused

        """
    }
}
