// SPDX-License-Identifier: Apache-2.0

/// How a host's claim is contradicted.
public enum Contradiction: Codable, Sendable, Hashable {
    /// It claims more than was enrolled.
    case moreThanEnrolled(claimed: Amount, enrolled: Amount)
    /// Its own memory figures contradict each other.
    case memoryDoesNotAddUp(usedMebibytes: UInt64, availableMebibytes: UInt64, totalMebibytes: UInt64)
    /// Its VMs use more CPU than it claims to use.
    case vmsUseMore(busyCores: Double, vmCores: Double)
    /// A source reports that it moved a VM to this host, which has not listed it since.
    case missingVM(name: String, movedFrom: HostName)
    /// It reports that it moved a VM to a host that has not listed it since, and still runs the VM itself.
    case stillRunsVM(name: String, movedTo: HostName)

    // From recordings of earlier versions, whose agents observed each other's libvirt.
    case moreThanShown(claimed: Amount, shown: Amount, witnesses: [HostName])
    case moreAvailable(mebibytes: UInt64, shownMebibytes: UInt64, witnesses: [HostName])
    case unseenVM(name: String, witnesses: [HostName])
    case hiddenVM(VMID, witnesses: [HostName])

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
        case .memoryDoesNotAddUp: "memory-does-not-add-up"
        case .vmsUseMore: "vms-use-more"
        case .missingVM: "missing-vm"
        case .stillRunsVM: "still-runs-vm"
        case .moreThanShown(.cores, _, _): "more-cores-than-shown"
        case .moreThanShown(.memory, _, _): "more-memory-than-shown"
        case .moreAvailable: "more-available-than-shown"
        case .unseenVM: "unseen-vm"
        case .hiddenVM: "hidden-vm"
        }
    }
}
