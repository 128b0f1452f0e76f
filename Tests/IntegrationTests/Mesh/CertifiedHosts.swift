// SPDX-License-Identifier: Apache-2.0
import Fleet
import Identity
import Ledger

@testable import Escort

/// Hosts with certificates of a real cluster authority, created by the openssl command.
struct CertifiedHosts: Sendable {
    let hosts: Hosts
    let authority: ClusterAuthority

    /// Creates hosts 1 to `count` as members; their charons run, and no mesh is applied.
    static func with(_ count: Int, _ body: @escaping @Sendable (Self) async throws -> Void) async throws {
        try await Hosts.with(count) { hosts in
            let authority = try await ClusterAuthority.create(folder: hosts.folder + "/cluster")
            let certified = Self(hosts: hosts, authority: authority)
            for host in 1...count { try await certified.add(host) }
            try await body(certified)
        }
    }

    func identityFolder(_ host: Int) -> IdentityFolder { IdentityFolder("\(hosts.folder)/identity-\(host)") }

    func add(_ host: Int, lifetime: Duration = ClusterAuthority.memberLifetime) async throws {
        try await authority.add(
            Enrollment.host(hosts.name(host), address: hosts.address(host), inner: hosts.inner(host)),
            lifetime: lifetime,
            folder: identityFolder(host).paths.folder
        )
    }

    /// Returns the files unchecked, as an attacker would use them.
    func credentials(_ host: Int) throws -> CertificateCredentials { try Self.credentials(identityFolder(host).paths) }

    static func credentials(_ paths: IdentityPaths) throws -> CertificateCredentials {
        try CertificateCredentials(
            certificate: paths.certificate,
            key: paths.key,
            anchors: paths.anchors,
            revocations: paths.revocations
        )
    }

    func mesh(_ host: Int) async throws -> Mesh {
        let mesh = hosts.mesh(host, credentials: try credentials(host))
        try await mesh.apply(hosts.inventory())
        return mesh
    }

    /// Adopts the newest roster on a host, and its renewed certificate after verification handshakes with the peers.
    @discardableResult
    func takeUp(_ host: Int, _ mesh: Mesh) async throws -> CredentialSwap? {
        let folder = identityFolder(host)
        let change = try await folder.update(from: await authority.signed)
        if change.trustChanged { try await mesh.use(try credentials(host), hosts.inventory()) }
        guard let renewal = try await folder.load().renewal else { return nil }
        let old = try await folder.load().certificate.pem
        _ = try await folder.install(certificate: renewal)
        let swap = try await mesh.swap(to: try credentials(host), inventory: hosts.inventory())
        if case .putBack = swap { _ = try await folder.install(certificate: old) }
        return swap
    }
}
