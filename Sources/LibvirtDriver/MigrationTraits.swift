// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt

/// What a driver of libvirt's takes in `virDomainMigrateToURI3`; the rest of the migration is the same for all.
struct MigrationTraits {
    /// Flags beyond live, peer to peer.
    var guards: UInt32
    /// Whether the target's listening address is a parameter; where not, it listens on the migrate URI's.
    var takesListenAddress: Bool
    /// Whether the persistent definition can be given apart from the live one.
    var takesPersistentXML: Bool

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
                takesPersistentXML: true
            )
        }
    }
}
