// SPDX-License-Identifier: Apache-2.0

extension Contradiction: CustomStringConvertible {
    public var description: String {
        switch self {
        case .moreThanEnrolled(let claimed, let enrolled): "it claims \(claimed); it was enrolled with \(enrolled)"
        case .memoryDoesNotAddUp(let used, let available, let total):
            "it claims \(used) MiB used and \(available) MiB available of \(total) MiB, which does not add up"
        case .vmsUseMore(let busy, let vms):
            "it claims \(Self.rounded(busy)) busy CPU cores; its VMs alone use \(Self.rounded(vms))"
        case .missingVM(let name, let source):
            "it does not list VM \(name), although \(source) reports that it moved the VM there; if 'virsh dominfo \(name)' knows it on "
                + "no host, 'evenkeel definitions restore \(name)' prints its stored definition"
        case .stillRunsVM(let name, let target):
            "it reports that it moved VM \(name) to \(target), but still runs the VM, and \(target) does not list it"
        case .moreThanShown(let claimed, let shown, let witnesses):
            "it claims \(claimed); its libvirt showed at most \(shown) to \(Self.names(witnesses))"
        case .moreAvailable(let claimed, let shown, let witnesses):
            "it claims \(claimed) MiB of memory available; its libvirt showed at most \(shown) MiB to "
                + "\(Self.names(witnesses)), margin included"
        case .unseenVM(let name, let witnesses):
            "it claims to run VM \(name), which its libvirt did not show to \(Self.names(witnesses))"
        case .hiddenVM(let vm, let witnesses):
            "it does not report VM \(vm), which its libvirt showed to \(Self.names(witnesses))"
        }
    }

    private static func names(_ hosts: [HostName]) -> String { hosts.map(\.rawValue).joined(separator: " and ") }

    /// Returns the figure with one decimal.
    fileprivate static func rounded(_ figure: Double) -> Double { (min(figure, 1e12) * 10).rounded() / 10 }
}

extension Contradiction.Amount: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cores(let cores): "\(Contradiction.rounded(cores)) CPU cores"
        case .memory(let mebibytes): "\(mebibytes) MiB of memory"
        }
    }
}
