// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Hypervisor

/// What a driver of libvirt's takes in `virDomainMigrateToURI3`; the rest of the migration is the same for all.
struct MigrationTraits {
    /// Flags beyond live, peer to peer.
    var guards: UInt32
    /// Whether the target's listening address is a parameter; where not, it listens on the migrate URI's.
    var takesListenAddress: Bool
    /// Whether the persistent definition can be given apart from the live one.
    var takesPersistentXML: Bool
    /// The first libvirt, as in `virConnectGetLibVersion`, with TLS to a named target, and with parallel connections;
    /// `nil` if the driver has neither.
    var versionWithTLS: UInt?
    var versionWithParallel: UInt?

    static func of(_ type: String) -> Self {
        switch type {
        case "xen":
            // libxl knows no other flags and refuses a call that has them.
            Self(guards: 0, takesListenAddress: false, takesPersistentXML: false)
        default:
            // No change of the definition while it moves, and a disk error at the source ends the move and not the VM.
            Self(
                guards: VIR_MIGRATE_CHANGE_PROTECTION.rawValue | VIR_MIGRATE_ABORT_ON_ERROR.rawValue,
                takesListenAddress: true,
                takesPersistentXML: true,
                versionWithTLS: 6_000_000,
                versionWithParallel: 5_002_000
            )
        }
    }

    /// The flags that carry the transport; throws `.refused` if driver or libvirtd cannot do it.
    ///
    /// `Transport` has no case for what libvirt does not do: tunnelled with TLS of its own or parallel connections.
    func flags(for transport: Transport, libvirt version: UInt, attempt: String) throws(HypervisorError) -> UInt32 {
        func refusal(_ detail: String) -> HypervisorError {
            HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        switch transport {
        case .tunnelled:
            return VIR_MIGRATE_TUNNELLED.rawValue
        case .direct(let tls, let parallelConnections):
            var flags: UInt32 = 0
            if let tls {
                guard let first = versionWithTLS, version >= first else {
                    throw refusal("this hypervisor's libvirt has no TLS for migrations; nothing was touched")
                }
                guard !tls.targetName.isEmpty else { throw refusal("TLS needs the name in the target's certificate") }
                flags |= VIR_MIGRATE_TLS.rawValue
            }
            if let parallelConnections {
                guard let first = versionWithParallel, version >= first else {
                    throw refusal("this hypervisor's libvirt has no parallel connections; nothing was touched")
                }
                // QEMU counts them in a byte.
                guard (1...255).contains(parallelConnections) else {
                    throw refusal("\(parallelConnections) parallel connections are not possible, but 1 to 255")
                }
                flags |= VIR_MIGRATE_PARALLEL.rawValue
            }
            return flags
        }
    }
}
