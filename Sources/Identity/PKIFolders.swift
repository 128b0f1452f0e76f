// SPDX-License-Identifier: Apache-2.0
internal import Commands
internal import Glibc
internal import Ledger

/// The same key and certificate under the names that libvirt's and QEMU's TLS look for, below one root: `/etc/pki`.
///
///     CA/cacert.pem  CA/cacrl.pem
///     libvirt/servercert.pem  libvirt/clientcert.pem  libvirt/private/{server,client}key.pem
///     qemu/{ca,server,client}-{cert,key}.pem  qemu/ca-crl.pem
public struct PKIFolders: Sendable {
    public let root: String

    public init(root: String) { self.root = root }

    /// Writes what changed and has libvirtd read it again; QEMU reads at the start of each migration.
    public func install(_ identity: MemberIdentity) async throws {
        guard try write(identity) else { return }
        // Not a restart, and no open connection suffers. A libvirtd that is down reads it when it starts.
        _ = try? await Command("virt-admin", ["server-update-tls", "libvirtd"], timeLimit: .seconds(10)).result()
    }

    /// Tells whether anything changed.
    public func write(_ identity: MemberIdentity) throws -> Bool {
        let certificate = identity.certificate.pem
        let key = try IdentityFiles.read(identity.keyPath, secret: true)
        let anchors = identity.roster.anchors.map(\.certificate).joined()
        let revocations = identity.roster.anchors.map(\.revocations).joined()
        for folder in ["CA", "libvirt/private", "qemu"] {
            try IdentityFiles.makeFolder("\(root)/\(folder)", mode: 0o755)
        }
        var changed = false
        func put(_ text: String, _ paths: String...) throws {
            for path in paths.map({ "\(root)/\($0)" })
            where (try? IdentityFiles.readPublished(path)) != Array(text.utf8) {
                try IdentityFiles.write(text, to: path, mode: text == key ? 0o600 : 0o644)
                if text == key, path.hasPrefix("\(root)/qemu/") { Self.giveToEmulator(path) }
                changed = true
            }
        }
        // The keys before the certificates: both are of one pair all the time, as a renewal keeps the key.
        try put(key, "libvirt/private/serverkey.pem", "libvirt/private/clientkey.pem")
        try put(key, "qemu/server-key.pem", "qemu/client-key.pem")
        try put(anchors, "CA/cacert.pem", "qemu/ca-cert.pem")
        try put(revocations, "CA/cacrl.pem", "qemu/ca-crl.pem")
        try put(certificate, "libvirt/servercert.pem", "libvirt/clientcert.pem")
        try put(certificate, "qemu/server-cert.pem", "qemu/client-cert.pem")
        return changed
    }

    /// QEMU reads its key as the user that the distribution runs it as; where there is none, it is root's.
    private static func giveToEmulator(_ path: String) {
        for name in ["libvirt-qemu", "qemu"] {
            if let user = getpwnam(name) {
                chown(path, user.pointee.pw_uid, user.pointee.pw_gid)
                return
            }
        }
    }
}
