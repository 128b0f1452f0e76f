// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor

extension Connection {
    /// Returns why a VM cannot leave this host, whatever the target.
    func migrationBlockers(of vm: VMID) throws -> [PreflightFailure.HypervisorReason] {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        let definition = try Self.definition(of: domain)
        return try Self.blockers(of: domain, definition) + localNetworks(definition.networks)
    }

    /// Returns the same without the networks, which an operator can declare to be the same on all hosts.
    static func ownBlockers(of domain: borrowing DomainHandle) throws -> [PreflightFailure.HypervisorReason] {
        try blockers(of: domain, definition(of: domain))
    }

    private static func definition(of domain: borrowing DomainHandle) throws -> DomainDefinition {
        let text = virDomainGetXMLDesc(domain.pointer, VIR_DOMAIN_XML_MIGRATABLE.rawValue)
        return try DomainDefinition(xml: takeString(text, from: "virDomainGetXMLDesc"))
    }

    private static func blockers(
        of domain: borrowing DomainHandle,
        _ definition: DomainDefinition
    ) throws(LibvirtError) -> [PreflightFailure.HypervisorReason] {
        try definition.migrationBlockers + metadata(of: domain) + blockJobs(of: domain, on: definition.diskNames)
    }

    /// Returns the metadata that would stay behind.
    ///
    /// libvirt checks the snapshots for a live migration, but nothing when it saves a VM.
    static func metadata(of domain: borrowing DomainHandle) -> [PreflightFailure.HypervisorReason] {
        let snapshots = virDomainSnapshotNum(domain.pointer, 0)
        let checkpoints = virDomainListAllCheckpoints(domain.pointer, nil, 0)
        return (snapshots > 0 ? [.snapshots(Int(snapshots))] : [])
            + (checkpoints > 0 ? [.checkpoints(Int(checkpoints))] : [])
    }

    private static func blockJobs(
        of domain: borrowing DomainHandle,
        on disks: [String]
    ) throws(LibvirtError) -> [PreflightFailure.HypervisorReason] {
        var found: [PreflightFailure.HypervisorReason] = []
        for disk in disks {
            var info = virDomainBlockJobInfo()
            switch virDomainGetBlockJobInfo(domain.pointer, disk, &info, 0) {
            case 0: break
            case 1...: found.append(.blockJob(disk: disk))
            default:
                let error = LibvirtError.last(in: "virDomainGetBlockJobInfo")
                // A driver without block jobs. A disk that has just been detached has none either.
                guard error.isUnsupported || error.is(VIR_ERR_INVALID_ARG) else { throw error }
            }
        }
        return found
    }

    /// Returns the libvirt networks of the VM that end at this host.
    ///
    /// The network of a running interface may have been removed since; the target then reports what it lacks.
    func localNetworks(_ networks: [NetworkSource]) throws(LibvirtError) -> [PreflightFailure.HypervisorReason] {
        var found: [PreflightFailure.HypervisorReason] = []
        for case .network(let name) in networks {
            do {
                let network = try NetworkHandle(name: name, on: handle)
                let text = try takeString(virNetworkGetXMLDesc(network.pointer, 0), from: "virNetworkGetXMLDesc")
                if let mode = Preflight.localMode(of: text) { found.append(.networkIsLocal(name, mode: mode)) }
            } catch { guard isAlive else { throw error } }
        }
        return found
    }
}
