// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Glibc
internal import Hypervisor
internal import LibvirtXML

/// The checks whether a target's hypervisor can take a VM, before anything is touched.
struct Preflight {
    let requirements: VMRequirements
    let host: HostName
    let connection: Connection

    func failures() throws(LibvirtError) -> [PreflightFailure] {
        let facts = try connection.facts()
        guard facts.type == requirements.hypervisor.type else {
            // The other checks make no sense for another kind of hypervisor.
            return [failure(.hypervisor, .otherType(vm: requirements.hypervisor.type, host: facts.type))]
        }
        var found: [PreflightFailure?] = [version(facts), try machine()]
        // Without the machine type the CPU cannot be checked.
        if found.allSatisfy({ $0 == nil }) { found.append(try cpu(facts)) }
        for case .network(let name) in requirements.networks { found.append(try network(name)) }
        found.append(try sameIdentity())
        found.append(try sameName())
        return found.compactMap { $0 }
    }

    private func failure(
        _ check: PreflightFailure.Check,
        _ reason: PreflightFailure.HypervisorReason
    ) -> PreflightFailure {
        PreflightFailure(check: check, host: host, reason: .hypervisor(reason))
    }

    private func version(_ facts: HypervisorFacts) -> PreflightFailure? {
        guard facts.version < requirements.hypervisor.version else { return nil }
        let ours = Self.text(facts.version)
        let theirs = Self.text(requirements.hypervisor.version)
        return failure(.version, .older(type: facts.type, host: ours, source: theirs))
    }

    /// Queries the domain capabilities, which libvirt has only for a domain type, emulator, architecture and machine
    /// type that this host can run.
    private func machine() throws(LibvirtError) -> PreflightFailure? {
        let text = virConnectGetDomainCapabilities(
            connection.handle.pointer,
            requirements.emulator,
            requirements.architecture,
            requirements.machine,
            requirements.domainType,
            0
        )
        guard let text else {
            let error = LibvirtError.last(in: "virConnectGetDomainCapabilities")
            guard connection.isAlive else { throw error }
            if error.is(VIR_ERR_NO_SUPPORT) { return nil }
            let what = "\(requirements.domainType) \(requirements.architecture) \(requirements.machine)"
            return failure(.machineType, .cannotRun(vm: what, detail: error.detail))
        }
        free(text)
        return nil
    }

    /// Checks whether this host can provide the guest's CPU.
    ///
    /// libvirt's answer is incompatible (0), identical (1) or superset (2); the last two suffice. A CPU passed through
    /// from the host requires the same CPU of the host, and one that libvirt cannot compare the same model.
    private func cpu(_ facts: HypervisorFacts) throws(LibvirtError) -> PreflightFailure? {
        guard let xml = requirements.cpuXML else {
            // For a guest without a CPU definition, Xen shows the host's CPU, and QEMU shows a model of its own.
            return requirements.domainType == "xen"
                ? sameHostModel(facts, because: .xen) : nil
        }
        if xml.contains("host-passthrough") { return try sameHostCPU() }
        let result = virConnectCompareHypervisorCPU(
            connection.handle.pointer,
            requirements.emulator,
            requirements.architecture,
            requirements.machine,
            requirements.domainType,
            xml,
            0
        )
        switch result {
        case Int32(VIR_CPU_COMPARE_IDENTICAL.rawValue), Int32(VIR_CPU_COMPARE_SUPERSET.rawValue):
            return nil
        case Int32(VIR_CPU_COMPARE_INCOMPATIBLE.rawValue):
            let domainType = requirements.domainType
            return failure(.cpu, .cpuFeaturesMissing(domainType: domainType, model: Self.model(xml)))
        default:
            let error = LibvirtError.last(in: "virConnectCompareHypervisorCPU")
            guard connection.isAlive else { throw error }
            if error.isUnsupported {
                return sameHostModel(facts, because: .notComparable(detail: error.detail))
            }
            return failure(.cpu, .cpuNotCompared(model: Self.model(xml), detail: error.detail))
        }
    }

    /// Checks that the guest sees the same CPU here, with all its features.
    ///
    /// The same model name does not suffice: a mitigation may have disabled a feature on one of the hosts. Nor does a
    /// superset: the guest would see other features than those it runs with.
    private func sameHostCPU() throws(LibvirtError) -> PreflightFailure? {
        guard let xml = requirements.hostCPU else { return failure(.cpu, .cpuModelUnknown(.hostPassthrough)) }
        switch virConnectCompareCPU(connection.handle.pointer, xml, 0) {
        case Int32(VIR_CPU_COMPARE_IDENTICAL.rawValue): return nil
        case Int32(VIR_CPU_COMPARE_INCOMPATIBLE.rawValue), Int32(VIR_CPU_COMPARE_SUPERSET.rawValue):
            return failure(.cpu, .hostCPUDiffers(model: Self.model(xml)))
        default:
            let error = LibvirtError.last(in: "virConnectCompareCPU")
            guard connection.isAlive else { throw error }
            return failure(.cpu, .cpuNotCompared(model: Self.model(xml), detail: error.detail))
        }
    }

    private func sameHostModel(
        _ facts: HypervisorFacts,
        because why: PreflightFailure.SameCPU
    ) -> PreflightFailure? {
        guard let theirs = requirements.hypervisor.cpuModel, let ours = facts.cpuModel else {
            return failure(.cpu, .cpuModelUnknown(why))
        }
        guard theirs != ours else { return nil }
        return failure(.cpu, .cpuModelDiffers(why, source: theirs, host: ours))
    }

    private func network(_ name: String) throws(LibvirtError) -> PreflightFailure? {
        do {
            let network = try NetworkHandle(name: name, on: connection.handle)
            guard virNetworkIsActive(network.pointer) == 1 else { return failure(.network, .networkInactive(name)) }
            let text = try takeString(virNetworkGetXMLDesc(network.pointer, 0), from: "virNetworkGetXMLDesc")
            return Self.localMode(of: text).map { failure(.network, .networkIsLocal(name, mode: $0)) }
        } catch {
            guard connection.isAlive else { throw error }
            return failure(.network, .networkMissing(name, detail: error.detail))
        }
    }

    /// Returns the forward mode of a network that ends at its host; `nil` if its VMs are on the LAN.
    static func localMode(of network: String) -> String? {
        guard let forward = (try? XMLTree(parsing: network))?.child("forward") else { return "isolated" }
        // As libvirt, which translates addresses by default.
        let mode = forward.attribute("mode") ?? "nat"
        return ["bridge", "vepa", "private", "passthrough"].contains(mode) ? nil : mode
    }

    /// Checks that no domain has the UUID here.
    ///
    /// An active domain would be a second instance. libvirt would replace an inactive definition, but until then
    /// someone could start it here while the VM runs at the source. If the move then ended in doubt, the definition
    /// would hide whether the VM had been here.
    private func sameIdentity() throws(LibvirtError) -> PreflightFailure? {
        do {
            let domain = try DomainHandle(uuid: requirements.id.rawValue, on: connection.handle)
            let state = try DomainState.of(domain)
            guard !state.isActive else {
                return failure(.uuid, .uuidActive(requirements.id, state: state.text))
            }
            let name = virDomainGetName(domain.pointer).map { String(cString: $0) } ?? ""
            var remedy = state.isCrashed ? "virsh destroy \(requirements.id); " : ""
            remedy += "virsh undefine --keep-nvram --keep-tpm"
            // libvirt refuses to undefine a VM with a managed-save image unless this flag removes the image.
            if virDomainHasManagedSaveImage(domain.pointer, 0) == 1 { remedy += " --managed-save" }
            let found = state.vmState.rawValue
            return failure(.uuid, .uuidDefined(requirements.id, name: name, state: found, remedy: remedy))
        } catch {
            guard error.is(VIR_ERR_NO_DOMAIN) else { throw error }
            return nil
        }
    }

    private func sameName() throws(LibvirtError) -> PreflightFailure? {
        do {
            let domain = try DomainHandle(name: requirements.name, on: connection.handle)
            guard let id = Connection.uuid(of: domain.pointer), id != requirements.id else { return nil }
            return failure(.name, .nameTaken(requirements.name, by: "\(id)"))
        } catch {
            guard error.is(VIR_ERR_NO_DOMAIN) else { throw error }
            return nil
        }
    }

    /// Formats a version number: `7.2.22` for 7002022.
    static func text(_ version: UInt64) -> String {
        "\(version / 1_000_000).\(version / 1000 % 1000).\(version % 1000)"
    }

    /// Returns the model or the mode of a `<cpu>` element, for messages.
    private static func model(_ xml: String) -> String {
        guard let cpu = try? XMLTree(parsing: xml) else { return "unreadable" }
        return cpu.text("model") ?? cpu.attribute("mode") ?? "unnamed"
    }
}
