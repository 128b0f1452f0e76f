// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// How hosts authenticate each other: provides the `local`, `remote` and `secrets` sections of each connection.
///
/// Values may contain key material; they are written only to the mesh's own files, with mode 0600.
public protocol Credentials: Sendable {
    /// Returns the authentication settings for this host and one peer.
    func authentication(local: HostName, peer: HostName) throws -> Authentication
    /// Certificates, revocation lists and private keys for swanctl's own folders.
    var files: [CredentialFile] { get }
}

extension Credentials {
    public var files: [CredentialFile] { [] }
}

/// The authentication part of one connection.
public struct Authentication: Sendable {
    /// Settings of the connection's `local` section, except `id`.
    public var local: SwanctlSection
    /// Settings of the connection's `remote` section, except `id`.
    public var remote: SwanctlSection
    /// Sections for `secrets`.
    public var secrets: [SwanctlSection]
    /// Whether each side can prove its inner address in addition to its name.
    public var provesAddresses: Bool

    public init(
        local: SwanctlSection,
        remote: SwanctlSection,
        secrets: [SwanctlSection] = [],
        provesAddresses: Bool = false
    ) {
        self.local = local
        self.remote = remote
        self.secrets = secrets
        self.provesAddresses = provesAddresses
    }

    /// Returns a host name as an IKE identity; the `@` prevents swanctl from parsing it as an address.
    public static func identity(_ name: HostName) -> String { "@" + name.rawValue }
}
