// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// How the hosts prove to each other who they are: fills in the `local`, `remote` and `secrets` sections of each
/// connection.
///
/// Values may hold key material: what comes from here is written to the mesh's own 0600 file and nowhere else.
public protocol Credentials: Sendable {
    /// The authentication between this host and one peer.
    func authentication(local: HostName, peer: HostName) throws -> Authentication
    /// What swanctl finds in its own folders: certificates, revocation lists, private keys.
    var files: [CredentialFile] { get }
}

extension Credentials {
    public var files: [CredentialFile] { [] }
}

/// The authentication part of one connection.
public struct Authentication: Sendable {
    /// Settings of the connection's `local` section besides `id`.
    public var local: SwanctlSection
    /// Settings of the connection's `remote` section besides `id`.
    public var remote: SwanctlSection
    /// Sections to go into `secrets`.
    public var secrets: [SwanctlSection]
    /// Whether each side can prove its inner address as well as its name.
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

    /// An IKE identity as swanctl takes it: a host name, never guessed to be an address.
    public static func identity(_ name: HostName) -> String { "@" + name.rawValue }
}
