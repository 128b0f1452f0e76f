// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor

/// The blocking part of one offline move, on its own connection: checks, calls, and checks again.
///
/// libvirt's source daemon keeps a job on the VM from the beginning to the end of the call, so nobody can start or change
/// the VM there meanwhile. It has the target define the VM, and then removes the definition here. If the target's last
/// answer is lost, it keeps the definition here, too.
struct OfflineCall {
    let request: MigrationRequest

    /// The flags of the call.
    ///
    /// libvirt demands a persistent target, and refuses a tunnel and copies of disks. It ignores the flags of live
    /// migrations.
    static let flags =
        VIR_MIGRATE_OFFLINE.rawValue | VIR_MIGRATE_PEER2PEER.rawValue | VIR_MIGRATE_PERSIST_DEST.rawValue
        | VIR_MIGRATE_UNDEFINE_SOURCE.rawValue

    /// Returns once the VM is defined at the target and no longer here.
    ///
    /// Calls `mayBegin` last: if it returned false or was never called, nothing has been touched.
    func run(on uri: String, attempt: String, mayBegin: () -> Bool) throws {
        let connection = try MigrationCall.connect(to: uri, attempt: attempt)
        let domain = try DomainHandle(uuid: request.vm.rawValue, on: connection.handle)
        let blockers = try connection.offlineRequirements(of: request.vm).blockers
        guard blockers.isEmpty else {
            let detail = blockers.map { PreflightFailure.Reason.hypervisor($0).text }.joined(separator: "; ")
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        var parameters = OwnedParameters()
        // No memory goes there, but without it the target's libvirt looks up its own host name, and may fail.
        try parameters.add(VIR_MIGRATE_PARAM_URI, request.migrateURI)
        guard mayBegin() else { throw MigrationCall.notBegun(attempt: attempt) }
        // Without a definition of our own: libvirt sends the one it has when its job has begun.
        let result = virDomainMigrateToURI3(
            domain.pointer,
            request.peerURI,
            parameters.pointer,
            UInt32(parameters.count),
            Self.flags
        )
        guard result == 0 else { throw LibvirtError.last(in: "virDomainMigrateToURI3") }
        // libvirt does not check that the VM is off. One that was started just before the call is defined at the target,
        // and stays here as it is.
        let left = try connection.presence(of: request.vm)
        guard left == .absent else {
            let detail = "the target has the VM's definition, but the VM is \(left) here: it was started meanwhile"
            throw HypervisorError(.inDoubt, attempt: attempt, detail: detail)
        }
    }
}
