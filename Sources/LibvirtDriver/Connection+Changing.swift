// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor
internal import LibvirtXML

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
        // A persistent VM takes its definition along to the host it runs on. A transient VM may have run at the target,
        // written to its disks and disappeared without a trace. Resuming the older memory here would then corrupt its
        // disks.
        guard try domain.isPersistent() else {
            let detail =
                "it is transient, and nothing shows whether it has run at the target since; make sure that it has "
                + "not, then run 'virsh resume'"
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        guard virDomainResume(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainResume") }
    }

    /// Resumes a paused copy that an interrupted restore left, whether or not it is persistent.
    func startRestored(_ vm: VMID) throws {
        let domain = try pausedByMigration(vm, attempt: "start the restored VM \(vm)")
        guard virDomainResume(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainResume") }
    }

    func start(_ vm: VMID) throws {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        guard virDomainCreate(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainCreate") }
    }

    func suspend(_ vm: VMID) throws {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        guard virDomainSuspend(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainSuspend") }
    }

    /// Destroys the paused copy, if there is one, and removes the persistent definition.
    ///
    /// libvirt does the same as the last step of a migration. If libvirtd dies in that step, it leaves a paused copy or
    /// only the inactive definition. With the definition left here, someone could start the VM while it runs on the
    /// target.
    func discardHandedOver(_ vm: VMID) throws {
        let attempt = "discard the handed-over copy of VM \(vm)"
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        let isPersistent = try domain.isPersistent()
        if try DomainState.of(domain).isActive {
            _ = try pausedByMigration(vm, attempt: attempt)
            guard virDomainDestroy(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainDestroy") }
        }
        if isPersistent { try undefine(domain) }
    }

    /// Removes a VM's definition, but not its NVRAM and TPM state.
    ///
    /// They may be on shared storage, where the VM's other host uses them. Throws `.refused` if this libvirt could remove
    /// the definition only together with them.
    func undefine(_ domain: borrowing DomainHandle) throws {
        let text = virDomainGetXMLDesc(domain.pointer, VIR_DOMAIN_XML_INACTIVE.rawValue)
        let definition = try DomainDefinition(xml: takeString(text, from: "virDomainGetXMLDesc"))
        var unsupported: LibvirtError?
        for flags in definition.undefineFlags {
            let isUndefined =
                (flags == 0 ? virDomainUndefine(domain.pointer) : virDomainUndefineFlags(domain.pointer, flags)) == 0
            if isUndefined { return }
            let error = LibvirtError.last(in: "virDomainUndefineFlags")
            guard error.isUnsupported || error.is(VIR_ERR_INVALID_ARG) else { throw error }
            unsupported = error
        }
        let state = definition.losesTPMState ? "TPM state" : "UEFI variables"
        let detail =
            "this libvirt would delete its \(state), too (\(unsupported?.message ?? "no reason")): save them if no other host "
            + "uses them, run 'virsh undefine', and update libvirt"
        throw HypervisorError(.refused, attempt: "undefine VM \(definition.name)", detail: detail)
    }

    /// Returns the domain; throws `.refused` unless a migration paused it and that migration is over.
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

extension DomainDefinition {
    /// The flags with which to undefine it, in the order of the attempts: older versions of libvirt lack some.
    ///
    /// None of them deletes its NVRAM, or the TPM state that libvirt would not keep by itself.
    var undefineFlags: [UInt32] {
        let (nvram, tpm) = (VIR_DOMAIN_UNDEFINE_KEEP_NVRAM.rawValue, VIR_DOMAIN_UNDEFINE_KEEP_TPM.rawValue)
        if losesTPMState { return [nvram | tpm] }
        return [nvram | tpm, nvram] + (mayHaveNVRAM ? [] : [0])
    }

    private var mayHaveNVRAM: Bool {
        let os = root.child("os")
        return os?.child("nvram") != nil || os?.attribute("firmware") == "efi"
            || os?.child("loader")?.attribute("type") == "pflash"
    }
}
