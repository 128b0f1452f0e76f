// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor

extension Connection {
    /// Asks the outgoing migration of the VM to stop.
    func abortMigration(of vm: VMID) throws {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        guard let job = try JobStatistics.of(domain), job.isOutgoing else {
            let detail = "no migration of it to another host is running here"
            throw HypervisorError(.refused, attempt: "cancel the migration of VM \(vm)", detail: detail)
        }
        guard virDomainAbortJob(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainAbortJob") }
    }

    func resume(_ vm: VMID) throws {
        let attempt = "resume VM \(vm)"
        let domain = try pausedByMigration(vm, attempt: attempt)
        let isPersistent = virDomainIsPersistent(domain.pointer)
        guard isPersistent >= 0 else { throw LibvirtError.last(in: "virDomainIsPersistent") }
        // A persistent VM brings its definition to where it runs. A transient one may have run there, written to its
        // disks and gone without a trace; with this older memory on top the disks would be corrupted.
        guard isPersistent == 1 else {
            let detail =
                "it is transient, so that nothing shows whether it has run at the target since; make sure that it has "
                + "not, then run 'virsh resume'"
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        guard virDomainResume(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainResume") }
    }

    func suspend(_ vm: VMID) throws {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        guard virDomainSuspend(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainSuspend") }
    }

    /// Ends the paused copy, if there is one, and removes the persistent definition, as the last step of the migration
    /// would have done: with the definition left, the VM could be started here while it runs on the target.
    ///
    /// When libvirtd dies in that last step, what is left is either a paused copy or just the inactive definition.
    func discardHandedOver(_ vm: VMID) throws {
        let attempt = "discard the handed-over copy of VM \(vm)"
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        let isPersistent = virDomainIsPersistent(domain.pointer) == 1
        if try DomainState.of(domain).isActive {
            _ = try pausedByMigration(vm, attempt: attempt)
            guard virDomainDestroy(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainDestroy") }
        }
        guard isPersistent else { return }
        // NVRAM and TPM state may lie on shared storage, where the VM at the target uses them.
        let keep = VIR_DOMAIN_UNDEFINE_KEEP_NVRAM.rawValue | VIR_DOMAIN_UNDEFINE_KEEP_TPM.rawValue
        if virDomainUndefineFlags(domain.pointer, keep) == 0 { return }
        let error = LibvirtError.last(in: "virDomainUndefineFlags")
        guard error.isUnsupported || error.is(VIR_ERR_INVALID_ARG) else { throw error }
        guard virDomainUndefine(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainUndefine") }
    }

    /// The domain, if it is paused by a migration that is no longer under way.
    private func pausedByMigration(_ vm: VMID, attempt: String) throws -> DomainHandle {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        let job = try JobStatistics.of(domain)
        let state = try DomainState.of(domain)
        guard state.isPausedByMigration else {
            let detail = "it is not paused by a migration but \(state.text)"
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        guard job == nil else {
            let detail = "a migration of it is still under way here; wait for its end or cancel it"
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        return domain
    }
}
