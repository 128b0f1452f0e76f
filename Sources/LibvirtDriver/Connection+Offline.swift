// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import LibvirtXML

extension Connection {
    /// Returns the requirements of a VM that is off, and why its definition cannot leave this host.
    func offlineRequirements(of vm: VMID) throws -> OfflineRequirements {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        let state = try DomainState.of(domain)
        // What remains of a crash is removed by 'virsh destroy' first.
        guard !state.isActive, !state.isCrashed else {
            let detail = "it is not off but \(state.text)"
            throw HypervisorError(.refused, attempt: "read what VM \(vm) needs", detail: detail)
        }
        let definition = try migratableDefinition(of: domain)
        var requirements = try requirements(of: vm, domain, definition)
        requirements.cpuXML = definition.offlineCPU
        requirements.disks += definition.firmwareVariables.map { .file(path: $0) }
        requirements.files =
            definition.files
            + definition.firmwareVariables.map { DiskFile(path: $0, isReadOnly: false) }
        var blockers = try definition.offlineBlockers + Self.metadata(of: domain) + localNetworks(definition.networks)
        if virDomainHasManagedSaveImage(domain.pointer, 0) == 1 { blockers.append(.managedSave) }
        if !MigrationTraits.of(type).movesOffline { blockers.append(.offlineUnsupported(type: type)) }
        return OfflineRequirements(requirements, blockers: blockers)
    }
}

/// What ties a VM that is off to its host.
extension DomainDefinition {
    /// The files of the UEFI variables, if the definition states their path.
    ///
    /// They are moved like disks: only if they are on shared storage.
    var firmwareVariables: [String] {
        (root.child("os")?.children("nvram") ?? []).compactMap { element in
            // A file as text, or as a source of this type.
            let source = element.child("source")?.attribute("file") ?? element.text
            let path = source.trimmingCharacters(in: .whitespacesAndNewlines)
            return path.isEmpty ? nil : path
        }
    }

    /// The `<cpu>` element; `nil` if the CPU is chosen at the VM's next start, whichever the host has then.
    var offlineCPU: String? {
        let mode = root.child("cpu")?.attribute("mode") ?? "custom"
        return mode == "custom" ? cpuXML : nil
    }

    /// Devices of the host, and state that the host keeps in files whose place on a target is not known.
    var offlineBlockers: [PreflightFailure.HypervisorReason] {
        var found = hostDevices + sharedFolders
        let backends = (root.child("devices")?.children("tpm") ?? []).map { $0.child("backend")?.attribute("type") }
        for backend in backends {
            found.append(backend == "emulator" ? .hostState(.tpm) : .nonMigratableDevice(.hostTPM))
        }
        if usesFirmwareVariables, firmwareVariables.isEmpty { found.append(.hostState(.firmwareVariables)) }
        return found
    }

    /// Whether the VM's firmware keeps variables: it has an `<nvram>` element, or libvirt chooses a UEFI firmware.
    private var usesFirmwareVariables: Bool {
        let os = root.child("os")
        return os?.attribute("firmware") == "efi" || os?.child("nvram") != nil
    }
}
