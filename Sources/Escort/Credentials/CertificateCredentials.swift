// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import Glibc

/// Credentials made of X.509 certificates of the cluster's authority; a host can prove only its own name.
///
/// charon accepts a peer's certificate only if one of these anchors issued it, and it contains the peer's name and is
/// valid now. It must not be on its issuer's revocation list. Without such a list the certificate is refused as well.
public struct CertificateCredentials: Credentials, CustomStringConvertible, CustomReflectable {
    private let certificate: String
    private let key: String
    private let anchors: [String]
    private let revocations: [String]

    /// Reads the files of an identity folder; loading the folder has checked them.
    ///
    /// Blocks; the files are small.
    public init(certificate: String, key: String, anchors: String, revocations: String) throws(EscortError) {
        self.certificate = try PrivateFile.read(certificate, secret: false)
        self.key = try PrivateFile.read(key, secret: true)
        self.anchors = Self.blocks("CERTIFICATE", in: try PrivateFile.read(anchors, secret: false))
        self.revocations = Self.blocks("X509 CRL", in: try PrivateFile.read(revocations, secret: false))
        guard !self.anchors.isEmpty, self.revocations.count >= self.anchors.count else {
            throw .badCredentials(path: anchors, reason: "each authority needs a certificate and a revocation list")
        }
    }

    public func authentication(local: HostName, peer: HostName) throws -> Authentication {
        Authentication(
            local: SwanctlSection("local", ["auth": "pubkey", "certs": Self.file]),
            remote: SwanctlSection(
                "remote",
                [
                    "auth": "pubkey",
                    "cacerts": anchors.indices.map { Self.file($0) }.joined(separator: ", "),
                    "revocation": "strict",
                ]
            ),
            provesAddresses: true
        )
    }

    public var files: [CredentialFile] {
        [
            CredentialFile(folder: "x509", name: Self.file, text: certificate),
            CredentialFile(folder: "private", name: Self.file, text: key),
        ]
            + anchors.enumerated().map { CredentialFile(folder: "x509ca", name: Self.file($0), text: $1) }
            + revocations.enumerated().map { CredentialFile(folder: "x509crl", name: Self.file($0), text: $1) }
    }

    private static let file = CredentialFile.prefix + ".pem"
    private static func file(_ index: Int) -> String { "\(CredentialFile.prefix)-\(index + 1).pem" }

    /// Splits PEM text into its blocks, because charon reads one object from each file.
    private static func blocks(_ label: String, in pem: String) -> [String] {
        var blocks: [String] = []
        for line in pem.split(separator: "\n") {
            if line == "-----BEGIN \(label)-----" { blocks.append("") }
            guard !blocks.isEmpty else { continue }
            blocks[blocks.count - 1] += line + "\n"
        }
        return blocks
    }

    /// A description without the key.
    public var description: String { "a certificate under \(anchors.count) anchors" }
    /// Hides the key from dumps.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
