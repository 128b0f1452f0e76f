// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Hypervisor

/// The libvirt calls of stop-and-copy, one function each.
extension Connection {
    /// Returns the data that accompanies a VM's image; throws `.refused` if the VM cannot be saved now.
    func prepareSaving(of vm: VMID, in folder: String, attempt: String) throws -> SavedVM {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        try DomainState.checkRunsWithoutJob(domain, attempt: attempt)
        let live = virDomainGetXMLDesc(domain.pointer, VIR_DOMAIN_XML_MIGRATABLE.rawValue)
        let definition = try DomainDefinition(xml: takeString(live, from: "virDomainGetXMLDesc"))
        guard !definition.losesTPMState else {
            let detail =
                "libvirt would delete the state of its TPM if the VM ended before it is saved; set persistent_state='yes' "
                + "in the backend of its TPM, or move it over another channel"
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        let file = try ImageFile(of: vm, in: folder, memoryBytes: definition.memoryBytes(), attempt: attempt)
        var persistent: String?
        if try domain.isPersistent() {
            let flags =
                VIR_DOMAIN_XML_INACTIVE.rawValue | VIR_DOMAIN_XML_SECURE.rawValue | VIR_DOMAIN_XML_MIGRATABLE.rawValue
            persistent = try takeString(virDomainGetXMLDesc(domain.pointer, flags), from: "virDomainGetXMLDesc")
        }
        return SavedVM(
            vm: vm,
            name: definition.name,
            path: file.path,
            imageBytes: 0,
            definition: persistent,
            startsWithHost: try startsWithHost(domain),
            stoppedAt: .now
        )
    }

    /// Removes the definition of a VM that runs, which becomes transient.
    func undefine(_ vm: VMID) throws { try undefine(DomainHandle(uuid: vm.rawValue, on: handle)) }

    func save(_ vm: VMID, to path: String) throws {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        // No `VIR_DOMAIN_SAVE_BYPASS_CACHE`: the file system is in memory.
        guard virDomainSaveFlags(domain.pointer, path, nil, 0) == 0 else {
            throw LibvirtError.last(in: "virDomainSaveFlags")
        }
    }

    /// Aborts the save job of the VM; the VM then continues to run.
    func abortSaving(of vm: VMID) throws {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        guard virDomainAbortJob(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainAbortJob") }
    }

    /// Returns the VM named in the image; libvirt refuses an incomplete image.
    func image(at path: String) throws -> SavedImage {
        let text = virDomainSaveImageGetXMLDesc(handle.pointer, path, 0)
        let definition = try DomainDefinition(xml: takeString(text, from: "virDomainSaveImageGetXMLDesc"))
        let losesTPMState = definition.losesTPMState
        return SavedImage(vm: VMID(definition.uuid), name: definition.name, losesTPMState: losesTPMState)
    }

    func restorePaused(from path: String) throws {
        guard virDomainRestoreFlags(handle.pointer, path, nil, VIR_DOMAIN_SAVE_PAUSED.rawValue) == 0 else {
            throw LibvirtError.last(in: "virDomainRestoreFlags")
        }
    }

    func define(_ xml: String) throws {
        guard let pointer = virDomainDefineXMLFlags(handle.pointer, xml, 0) else {
            throw LibvirtError.last(in: "virDomainDefineXMLFlags")
        }
        _ = DomainHandle(owning: pointer)
    }

    /// Defines the VM unless it is persistent: an operator may have changed its definition since.
    func define(_ xml: String, unlessDefined vm: VMID) throws {
        do {
            if try isPersistent(vm) { return }
        } catch  where error.is(VIR_ERR_NO_DOMAIN) {}
        try define(xml)
    }

    func start(restored vm: VMID) throws {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        guard virDomainResume(domain.pointer) == 0 else { throw LibvirtError.last(in: "virDomainResume") }
    }

    func setAutostart(of vm: VMID, to isOn: Bool) throws {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        guard virDomainSetAutostart(domain.pointer, isOn ? 1 : 0) == 0 else {
            throw LibvirtError.last(in: "virDomainSetAutostart")
        }
    }

    /// Undoes a restore whose VM has not run: destroys the paused copy and removes the definition that came with it.
    func undoRestore(of vm: VMID, isDefinedHere: Bool) throws {
        let attempt = "undo the restore of VM \(vm)"
        do {
            let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
            let state = try DomainState.of(domain)
            guard !state.isRunning else { throw HypervisorError(.inDoubt, attempt: attempt, detail: "it runs") }
            if state.isActive, virDomainDestroy(domain.pointer) != 0 { throw LibvirtError.last(in: "virDomainDestroy") }
            guard try !isDefinedHere && domain.isPersistent() else { return }
            try undefine(domain)
        } catch let error as LibvirtError where error.is(VIR_ERR_NO_DOMAIN) {
            // It was transient and disappeared with its process.
        }
    }
}
