// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Identity
internal import Ledger

/// The lab's own cluster: its certificate authority, and identities for hosts, controller and operator.
struct LabCluster: Sendable {
    let site: LabSite

    /// Creates all identities, publishes the roster, and gives each host the TLS files of libvirt and QEMU.
    func make(for hosts: [LabHost]) async throws {
        let authority = try await ClusterAuthority.create(folder: site.clusterFolder)
        try await authority.add(.controller, folder: site.controllerIdentity)
        try await authority.add(.operator, folder: site.operatorIdentity)
        for host in hosts {
            let enrollment = try Enrollment.host(host.name, address: host.address, inner: host.innerAddress)
            let hardware = Roster.Hardware(memoryBytes: host.plan.memoryBytes)
            try await authority.add(enrollment, hardware: hardware, folder: host.identityFolder)
        }
        try await SharedLog.create(folder: site.ledgerFolder)
        try await authority.publish(to: site.ledgerFolder)
        let signed = await authority.signed
        for folder in [site.controllerIdentity, site.operatorIdentity] {
            _ = try await IdentityFolder(folder).update(from: signed)
        }
        for host in hosts {
            _ = try await IdentityFolder(host.identityFolder).update(from: signed)
            let identity = try await IdentityFolder(host.identityFolder).load()
            _ = try PKIFolders(root: "\(host.folder)/etc/pki").write(identity)
        }
    }
}
