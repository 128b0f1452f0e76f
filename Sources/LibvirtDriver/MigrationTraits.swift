// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Hypervisor

/// The parameters of `virDomainMigrateToURI3` that a libvirt driver supports; the rest of a migration is the same for
/// all.
struct MigrationTraits {
    /// Flags in addition to live and peer to peer.
    var guards: UInt32
    /// Whether the target's listen address is a parameter; otherwise it listens on the address of the migrate URI.
    var takesListenAddress: Bool
    /// Whether the persistent definition can be passed separately from the live one.
    var takesPersistentXML: Bool
    /// Whether the driver moves VMs that are off.
    var movesOffline: Bool
    /// The first libvirt version, as in `virConnectGetLibVersion`, with TLS to a named target and with parallel
    /// connections; `nil` if the driver has neither.
    var versionWithTLS: UInt?
    var versionWithParallel: UInt?

    static func of(_ type: String) -> Self {
        switch type {
        case "xen":
            // libxl supports no other flags and refuses a call that has them.
            Self(guards: 0, takesListenAddress: false, takesPersistentXML: false, movesOffline: false)
        default:
            // Forbid changes of the definition during the move; let a disk error at the source end the move, not the
            // VM.
            Self(
                guards: VIR_MIGRATE_CHANGE_PROTECTION.rawValue | VIR_MIGRATE_ABORT_ON_ERROR.rawValue,
                takesListenAddress: true,
                takesPersistentXML: true,
                movesOffline: true,
                versionWithTLS: 6_000_000,
                versionWithParallel: 5_002_000
            )
        }
    }

    /// Returns the flags of the transport; throws `.refused` if the driver or libvirtd does not support it.
    ///
    /// `Transport` has no case for combinations that libvirt lacks: tunnelled with TLS of its own or parallel
    /// connections.
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
                // QEMU stores the number in one byte.
                guard (1...255).contains(parallelConnections) else {
                    throw refusal("the number of parallel connections must be 1 to 255, not \(parallelConnections)")
                }
                flags |= VIR_MIGRATE_PARALLEL.rawValue
            }
            return flags
        }
    }
}
