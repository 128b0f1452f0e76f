// SPDX-License-Identifier: Apache-2.0

/// One unmet requirement, and the host that does not meet it.
public struct PreflightFailure: Sendable, Hashable, CustomStringConvertible {
    public var check: Check
    public var host: HostName
    /// Its description is `text`.
    public var reason: Reason

    public enum Check: String, Codable, Sendable {
        case hypervisor, version, machineType, cpu, storage, network, memory, name, uuid, state, escort
    }

    /// Why a requirement is not met.
    ///
    /// A `detail` is the unchanged text of another program, such as libvirt, or of an error.
    public enum Reason: Codable, Sendable, Hashable {
        /// The hypervisor cannot run the VM.
        case hypervisor(HypervisorReason)
        /// The host lacks a resource that the VM needs.
        case host(HostReason)
        /// The escort of the move is not possible.
        case escort(EscortReason)
        /// The text of an older agent.
        case other(String)
    }

    public init(check: Check, host: HostName, reason: Reason) {
        self.check = check
        self.host = host
        self.reason = reason
    }

    public var text: String { reason.text }
    public var description: String { "\(check.rawValue) on \(host): \(text)" }
}

extension PreflightFailure {
    public enum HypervisorReason: Codable, Sendable, Hashable {
        case silent(detail: String)
        case otherType(vm: String, host: String)
        case older(type: String, host: String, source: String)
        case cannotRun(vm: String, detail: String)
        case cpuFeaturesMissing(domainType: String, model: String)
        case cpuNotCompared(model: String, detail: String)
        case cpuModelUnknown(SameCPU)
        /// `model`: the source's CPU.
        case hostCPUDiffers(model: String)
        case cpuModelDiffers(SameCPU, source: String, host: String)
        case networkInactive(String)
        case networkMissing(String, detail: String)
        /// `mode`: libvirt's forward mode, or `isolated`.
        case networkIsLocal(String, mode: String)
        case uuidActive(VMID, state: String)
        case uuidDefined(VMID, name: String, state: String, remedy: String)
        case nameTaken(String, by: String)
        case notRunning(VMID, name: String)
        /// An offline move was ordered for a VM that is not off here.
        case notOff(VMID, name: String)
        /// libvirt saved the VM's memory on this host when it was stopped.
        case managedSave
        /// A file of this host belongs to the VM, and an offline move does not copy it.
        case hostState(HostState)
        /// This hypervisor's libvirt, by its type, moves no VMs that are off.
        case offlineUnsupported(type: String)
        case snapshots(Int)
        case checkpoints(Int)
        /// libvirt's name of a writable disk, and its cache mode, which makes a move unsafe.
        case unsafeCache(disk: String, mode: String)
        case blockJob(disk: String)
        /// A device of the host that the guest uses itself, as libvirt names its kind: `pci`, `mdev`.
        case hostDevice(String)
        /// A folder that the host shares with the guest, by its tag.
        case sharedFolder(String)
        /// libvirt's type of `launchSecurity`.
        case confidentialGuest(String)
        /// Another device that ties the VM to its host.
        case nonMigratableDevice(NonMigratableDevice)
        case failed(detail: String)
    }

    /// State of a VM that its host keeps in files of its own.
    public enum HostState: String, Codable, Sendable, Hashable {
        /// The UEFI variables (NVRAM), in a file whose path the definition does not state.
        case firmwareVariables
        /// The state of an emulated TPM.
        case tpm
    }

    /// A device that libvirt or QEMU does not migrate.
    public enum NonMigratableDevice: Codable, Sendable, Hashable {
        /// A disk whose changes are dropped at shutdown.
        case transientDisk(String)
        /// Memory shared with another VM, which owns it.
        case sharedMemory(String)
        /// The host's own TPM, or one that another program emulates.
        case hostTPM
        /// A time stamp counter that must not change its frequency.
        case invariantTSC
    }

    /// Why a VM needs the same CPU model on both hosts.
    public enum SameCPU: Codable, Sendable, Hashable {
        case xen
        case hostPassthrough
        case notComparable(detail: String)
    }

    public enum HostReason: Codable, Sendable, Hashable {
        case memoryShort(availableBytes: UInt64, neededBytes: UInt64, promisedBytes: UInt64)
        /// In percent of the host's memory.
        case memoryOverLimit(share: Int, limit: Int, promisedBytes: UInt64)
        case memoryUnknown(detail: String)
        case noBridge(String)
        case interfaceNotCheckable(type: String)
        case diskNotCheckable(type: String, detail: String)
        case fileMissing(String, detail: String)
        /// A file on the source's local storage, and the type of its file system.
        case localFile(String, fileSystem: String)
        /// The source's agent did not state which file this is.
        case fileUnproven(String)
        /// Types of the file systems on both hosts.
        case notShared(String, here: String, source: String)
        case otherFile(String, here: FileIdentity, source: FileIdentity)
        /// The source's mark is not in the file's folder here.
        case markMissing(String, detail: String)
        case markNotWritten(folder: String, detail: String)
        case deviceWithoutIdentity(String)
        case otherDevice(String, here: String?, source: String)
        case unreadable(url: String, detail: String)
        /// The host cannot record its steps of orders on its local disk.
        case takesNoOrders(detail: String)
    }

    public enum EscortReason: Codable, Sendable, Hashable {
        case plainNotAllowed
        case sealedNotOffered
        case targetNotConfigured(HostName)
        case gatesNotOpened(detail: String)
        case closuresDamaged(detail: String)
        case failed(detail: String)
    }
}

extension PreflightFailure: Codable {
    private enum CodingKeys: String, CodingKey { case check, host, reason, code, cause }

    /// Encodes `reason` as text, `code` as the reason's stable code, and `cause` as the reason with its fields.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(check, forKey: .check)
        try values.encode(host, forKey: .host)
        try values.encode(text, forKey: .reason)
        try values.encode(reason.code, forKey: .code)
        if case .other = reason {} else { try values.encode(reason, forKey: .cause) }
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        check = try values.decode(Check.self, forKey: .check)
        host = try values.decode(HostName.self, forKey: .host)
        // An older agent writes no cause, and a newer one perhaps an unknown one. The text remains.
        let text = try values.decode(String.self, forKey: .reason)
        reason = (try? values.decode(Reason.self, forKey: .cause)) ?? .other(text)
    }
}
