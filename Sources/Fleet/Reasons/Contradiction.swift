// SPDX-License-Identifier: Apache-2.0

/// How a host's claim is contradicted.
public enum Contradiction: Codable, Sendable, Hashable {
    /// It claims more than was enrolled.
    case moreThanEnrolled(claimed: Amount, enrolled: Amount)
    /// It claims more than its libvirt showed to the witnesses.
    case moreThanShown(claimed: Amount, shown: Amount, witnesses: [HostName])
    /// It claims more available memory than its libvirt showed, margin included.
    case moreAvailable(mebibytes: UInt64, shownMebibytes: UInt64, witnesses: [HostName])
    /// It claims to run a VM that its libvirt showed to no witness.
    case unseenVM(name: String, witnesses: [HostName])
    /// It does not report a VM that its libvirt shows.
    case hiddenVM(VMID, witnesses: [HostName])
    /// Its own memory figures contradict each other.
    case memoryDoesNotAddUp(usedMebibytes: UInt64, availableMebibytes: UInt64, totalMebibytes: UInt64)
    /// Its VMs use more CPU than it claims to use.
    case vmsUseMore(busyCores: Double, vmCores: Double)

    /// An amount of hardware.
    public enum Amount: Codable, Sendable, Hashable {
        case cores(Double)
        case memory(mebibytes: UInt64)
    }

    /// A stable code for programs.
    public var code: String {
        switch self {
        case .moreThanEnrolled(.cores, _): "more-cores-than-enrolled"
        case .moreThanEnrolled(.memory, _): "more-memory-than-enrolled"
        case .moreThanShown(.cores, _, _): "more-cores-than-shown"
        case .moreThanShown(.memory, _, _): "more-memory-than-shown"
        case .moreAvailable: "more-available-than-shown"
        case .unseenVM: "unseen-vm"
        case .hiddenVM: "hidden-vm"
        case .memoryDoesNotAddUp: "memory-does-not-add-up"
        case .vmsUseMore: "vms-use-more"
        }
    }
}
