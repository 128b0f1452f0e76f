// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Glibc
internal import Hypervisor
internal import LibvirtXML

extension Connection {
    func facts() throws(LibvirtError) -> HypervisorFacts {
        var version: CUnsignedLong = 0
        guard virConnectGetVersion(handle.pointer, &version) == 0 else { throw .last(in: "virConnectGetVersion") }
        let cpu = try hostCPU()
        return try HypervisorFacts(
            type: type,
            version: UInt64(version),
            libvirtVersion: UInt64(libvirtVersion()),
            architecture: cpu?.text("arch") ?? "unknown",
            cpuModel: cpu?.text("model")
        )
    }

    /// Returns the `<cpu>` element of the host's capabilities; `nil` if libvirt does not know the CPU.
    private func hostCPU() throws(LibvirtError) -> XMLTree? {
        let capabilities = try takeString(virConnectGetCapabilities(handle.pointer), from: "virConnectGetCapabilities")
        return parsedHostCPU.value(of: capabilities, for: type) { text in
            (try? XMLTree(parsing: text))?.child("host")?.child("cpu")
        }
    }

    /// Returns the daemon's version: 9000000 for 9.0.0.
    func libvirtVersion() throws(LibvirtError) -> UInt {
        var version: CUnsignedLong = 0
        guard virConnectGetLibVersion(handle.pointer, &version) == 0 else {
            throw .last(in: "virConnectGetLibVersion")
        }
        return version
    }

    /// Returns all domains, active or not, with the digests of their definitions.
    ///
    /// `NOWAIT`: a domain with a job in progress must not delay the sample of the others.
    func domains() throws(LibvirtError) -> [DomainStatus] {
        let domains = try allDomains()
        digests.keep(only: Set(domains.map(\.id)))
        return domains
    }

    private func allDomains() throws(LibvirtError) -> [DomainStatus] {
        let wanted =
            VIR_DOMAIN_STATS_STATE.rawValue | VIR_DOMAIN_STATS_CPU_TOTAL.rawValue | VIR_DOMAIN_STATS_BALLOON.rawValue
            | VIR_DOMAIN_STATS_VCPU.rawValue
        var records: UnsafeMutablePointer<virDomainStatsRecordPtr?>?
        let flags = VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT.rawValue
        let count = virConnectGetAllDomainStats(handle.pointer, wanted, &records, flags)
        guard count >= 0 else {
            let error = LibvirtError.last(in: "virConnectGetAllDomainStats")
            guard error.isUnsupported || error.is(VIR_ERR_INVALID_ARG) else { throw error }
            return try domainsOneByOne()
        }
        defer { virDomainStatsRecordListFree(records) }
        return UnsafeBufferPointer(start: records, count: Int(count)).compactMap { record in
            guard let record = record?.pointee, let domain = record.dom else { return nil }
            var status = Self.status(of: domain, TypedParameters(pointer: record.params, count: record.nparams))
            if let known = status { status?.definition = digest(of: domain, known.id) }
            return status
        }
    }

    private static func status(of domain: virDomainPtr, _ figures: TypedParameters) -> DomainStatus? {
        guard let id = uuid(of: domain), let name = virDomainGetName(domain) else { return nil }
        let state = DomainState(state: figures.int("state.state") ?? 0, reason: figures.int("state.reason") ?? 0)
        // The older call has these figures for drivers without them and for hosts without a cpuacct cgroup.
        var info = virDomainInfo()
        let asked = figures.unsignedLong("cpu.time") == nil && state.isActive
        let isKnown = asked && virDomainGetInfo(domain, &info) == 0
        return DomainStatus(
            id: id,
            name: String(cString: name),
            state: state.vmState,
            // libvirt's CPU time of an inactive domain is not time the VM used.
            cpuTimeNanoseconds: state.isActive
                ? figures.unsignedLong("cpu.time") ?? (isKnown ? info.cpuTime : nil) : nil,
            waitTimeNanoseconds: state.isActive ? waitTime(figures) : nil,
            vcpus: figures.unsigned("vcpu.current").map(Int.init) ?? (isKnown ? Int(info.nrVirtCpu) : nil),
            memoryBytes: figures.unsignedLong("balloon.current").map { $0 * 1024 }
                ?? (isKnown ? UInt64(info.memory) * 1024 : nil)
        )
    }

    /// Returns the run-queue wait of all VCPU threads in nanoseconds, from `/proc/PID/task/TID/schedstat`.
    private static func waitTime(_ figures: TypedParameters) -> UInt64? {
        var sum: UInt64?
        // VCPUs that are offline have no figure, which may leave gaps in the numbering.
        for number in 0..<(figures.unsigned("vcpu.maximum") ?? 0) {
            guard let delay = figures.unsignedLong("vcpu.\(number).delay") else { continue }
            sum = (sum ?? 0) &+ delay
        }
        return sum
    }

    /// Returns all domains of a driver without bulk statistics.
    private func domainsOneByOne() throws(LibvirtError) -> [DomainStatus] {
        var domains: UnsafeMutablePointer<virDomainPtr?>?
        let count = virConnectListAllDomains(handle.pointer, &domains, 0)
        guard count >= 0 else { throw .last(in: "virConnectListAllDomains") }
        defer { free(domains) }
        return UnsafeBufferPointer(start: domains, count: Int(count)).compactMap { pointer in
            guard let pointer else { return nil }
            let domain = DomainHandle(owning: pointer)
            var info = virDomainInfo()
            guard let id = Self.uuid(of: domain.pointer), let name = virDomainGetName(domain.pointer),
                let state = try? DomainState.of(domain), virDomainGetInfo(domain.pointer, &info) == 0
            else { return nil }
            return DomainStatus(
                id: id,
                name: String(cString: name),
                state: state.vmState,
                cpuTimeNanoseconds: state.isActive ? info.cpuTime : nil,
                vcpus: Int(info.nrVirtCpu),
                memoryBytes: UInt64(info.memory) * 1024,
                definition: digest(of: domain.pointer, id)
            )
        }
    }

    /// Returns the digest of the definition, live if the domain is active; `nil` if libvirt cannot read it, for example
    /// if the domain has just ended.
    ///
    /// libvirt formats the definition from its own memory, without QEMU, so a job on the domain causes no delay.
    private func digest(of domain: virDomainPtr, _ id: VMID) -> String? {
        let text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_MIGRATABLE.rawValue)
        guard let xml = try? takeString(text, from: "virDomainGetXMLDesc") else { return nil }
        return digests.value(of: xml, for: id) { try? DomainDefinition(xml: $0).digest }
    }

    static func uuid(of domain: virDomainPtr) -> VMID? {
        // VIR_UUID_STRING_BUFLEN: 36 characters and the terminating zero.
        var buffer = [CChar](repeating: 0, count: 37)
        guard virDomainGetUUIDString(domain, &buffer) == 0 else { return nil }
        return VMID(String(decoding: buffer.prefix(36).map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased())
    }

    func presence(of vm: VMID) throws(LibvirtError) -> DomainPresence {
        do {
            let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
            let state = try DomainState.of(domain)
            guard state.isActive else { return try inactivePresence(of: domain, state) }
            let job = try JobStatistics.of(domain)
            // Read the state again: the migration may have ended between the two queries. The old state with the new
            // (missing) job would look like a leftover copy that libvirt is in fact removing.
            return try DomainState.of(domain).presence(job: job)
        } catch {
            guard error.is(VIR_ERR_NO_DOMAIN) else { throw error }
            return .absent
        }
    }

    /// Returns `.absent` for a transient domain that is off: it is about to disappear, and only a definition can
    /// remain.
    private func inactivePresence(
        of domain: borrowing DomainHandle,
        _ state: DomainState
    ) throws(LibvirtError) -> DomainPresence {
        if state.isCrashed { return .inactive }
        return try domain.isPersistent() ? .inactive : .absent
    }

    func isPersistent(_ vm: VMID) throws(LibvirtError) -> Bool {
        try DomainHandle(uuid: vm.rawValue, on: handle).isPersistent()
    }

    /// Returns the statistics of the VM's outgoing migration; `nil` if there is none or the VM is not here.
    func migrationJob(of vm: VMID) throws(LibvirtError) -> JobStatistics? {
        do {
            let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
            guard let job = try JobStatistics.of(domain), job.isOutgoing else { return nil }
            return job
        } catch {
            guard error.is(VIR_ERR_NO_DOMAIN) else { throw error }
            return nil
        }
    }

    /// Returns the requirements of a VM that runs.
    func requirements(of vm: VMID) throws -> VMRequirements {
        let domain = try DomainHandle(uuid: vm.rawValue, on: handle)
        let state = try DomainState.of(domain)
        guard state.isRunning else {
            let detail = "it is not running but \(state.text)"
            throw HypervisorError(.refused, attempt: "read what VM \(vm) needs", detail: detail)
        }
        let definition = try migratableDefinition(of: domain)
        var requirements = try requirements(of: vm, domain, definition)
        requirements.hostCPU = definition.seesHostCPU ? try hostCPU()?.xml : nil
        return requirements
    }

    /// Returns the definition that a target receives, without secrets, because it goes into the ledger.
    func migratableDefinition(of domain: borrowing DomainHandle) throws -> DomainDefinition {
        let text = virDomainGetXMLDesc(domain.pointer, VIR_DOMAIN_XML_MIGRATABLE.rawValue)
        return try DomainDefinition(xml: takeString(text, from: "virDomainGetXMLDesc"))
    }

    /// Returns what a definition requires of a target, whether the VM runs or not.
    func requirements(
        of vm: VMID,
        _ domain: borrowing DomainHandle,
        _ definition: DomainDefinition
    ) throws -> VMRequirements {
        var requirements = try VMRequirements(
            id: vm,
            name: definition.name,
            domainType: definition.domainType,
            hypervisor: facts(),
            emulator: definition.emulator,
            machine: definition.machine,
            architecture: definition.architecture,
            vcpus: definition.vcpus(),
            memoryBytes: definition.memoryBytes(),
            cpuXML: definition.cpuXML,
            disks: definition.disks,
            files: definition.files,
            networks: definition.networks,
            definition: definition.digest,
            startsWithHost: startsWithHost(domain)
        )
        if try !domain.isPersistent() { requirements.isTransient = true }
        return requirements
    }

    /// Returns whether the VM starts with its host; a transient one never does.
    func startsWithHost(_ domain: borrowing DomainHandle) throws(LibvirtError) -> Bool {
        guard try domain.isPersistent() else { return false }
        var startsWithHost: Int32 = 0
        guard virDomainGetAutostart(domain.pointer, &startsWithHost) == 0 else {
            throw .last(in: "virDomainGetAutostart")
        }
        return startsWithHost == 1
    }
}
