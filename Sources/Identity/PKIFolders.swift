// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Glibc
internal import Ledger

/// Copies of key and certificate at the paths that libvirt and QEMU use for TLS, below one root such as `/etc/pki`.
///
///     CA/cacert.pem  CA/cacrl.pem
///     libvirt/servercert.pem  libvirt/clientcert.pem  libvirt/private/{server,client}key.pem
///     qemu/{ca,server,client}-{cert,key}.pem  qemu/ca-crl.pem  qemu/dh-params.pem
public struct PKIFolders: Sendable {
    public let root: String

    /// This file exists while libvirtd has not loaded the new files.
    private var unread: String { "\(root)/libvirt/.evenkeel-unread" }
    private let reload: Command

    public init(root: String) {
        // Needs no restart and keeps open connections.
        self.init(
            root: root,
            reload: Command("virt-admin", ["server-update-tls", "libvirtd"])
        )
    }

    init(root: String, reload: Command) {
        self.root = root
        self.reload = reload
    }

    /// Writes changed files and makes libvirtd reload them; QEMU reads them at the start of each migration.
    ///
    /// Throws if libvirtd does not reload them: the next call tries again.
    public func install(_ identity: MemberIdentity) async throws {
        _ = try write(identity)
        guard IdentityFiles.exists(unread) else { return }
        do { _ = try await reload.run() } catch {
            let reason = "libvirtd did not reload the certificates (\(error)); check that it is running"
            throw IdentityError.file(path: root, reason: reason)
        }
        IdentityFiles.remove(unread)
    }

    /// Writes changed files; returns whether any file changed.
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
            for path in paths.map({ "\(root)/\($0)" }) {
                let mode: mode_t = text == key ? 0o600 : 0o644
                let emulator = text == key && path.hasPrefix("\(root)/qemu/") ? Self.emulator : nil
                let (owner, group) = emulator ?? (geteuid(), getegid())
                let access = IdentityFiles.access(path)
                if access?.mode == mode, access?.owner == owner,
                    (try? IdentityFiles.readPublished(path)) == Array(text.utf8)
                {
                    continue
                }
                // Written first, so that a crash in between does not lose the pending reload.
                if !changed { try IdentityFiles.write("", to: unread) }
                changed = true
                try IdentityFiles.write(text, to: path, mode: mode)
                guard emulator == nil || chown(path, owner, group) == 0 else {
                    let reason = "its owner cannot be changed to QEMU's user (\(String(cString: strerror(errno))))"
                    throw IdentityError.file(path: path, reason: reason)
                }
            }
        }
        // Keys before certificates. They always stay a pair, because a renewal keeps the key.
        try put(key, "libvirt/private/serverkey.pem", "libvirt/private/clientkey.pem")
        try put(key, "qemu/server-key.pem", "qemu/client-key.pem")
        try put(anchors, "CA/cacert.pem", "qemu/ca-cert.pem")
        try put(revocations, "CA/cacrl.pem", "qemu/ca-crl.pem")
        // An existing file may be the administrator's own.
        if !IdentityFiles.exists("\(root)/qemu/dh-params.pem") {
            try put(Self.diffieHellmanGroup, "qemu/dh-params.pem")
        }
        try put(certificate, "libvirt/servercert.pem", "libvirt/clientcert.pem")
        try put(certificate, "qemu/server-cert.pem", "qemu/client-cert.pem")
        return changed
    }

    /// The user and group that own QEMU's key: those of the distribution's QEMU user; `nil` for the current user.
    private static var emulator: (uid_t, gid_t)? {
        guard geteuid() == 0 else { return nil }
        for name in ["libvirt-qemu", "qemu"] {
            if let user = getpwnam(name) { return (user.pointee.pw_uid, user.pointee.pw_gid) }
        }
        return nil
    }
}
