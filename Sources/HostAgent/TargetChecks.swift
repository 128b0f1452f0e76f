// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Hypervisor

/// The checks of a target before it accepts a VM.
struct TargetChecks: Sendable {
    let host: HostName
    let order: OrderID
    let hypervisor: any Hypervisor
    let resources: any ResourceSource
    /// Largest share of the host's memory that may be in use after the move, from 0 to 1.
    let memoryCeiling: Double
    /// Whether the VM takes memory when it arrives; one that is off does not.
    var takesMemory = true
    /// Memory promised to VMs that are on their way here.
    var promisedBytes: UInt64 = 0
    var sys = "/sys"
    /// Time limit for finding one disk.
    var storageTimeLimit = DiskFiles.patience
    var sharedTypes = FileSystem.sharedTypes
    /// libvirt networks that are the same on all hosts, whatever their mode.
    var stretchedNetworks: [String] = []

    /// Minimum memory of QEMU itself in addition to the guest's: device models, page tables, the migration's buffers.
    static let overheadBytes: UInt64 = 64 << 20

    /// Returns every unmet requirement; empty when the VM may come.
    func unmet(_ requirements: VMRequirements) async -> [PreflightFailure] {
        var failures: [PreflightFailure] = []
        do {
            failures += try await hypervisor.unmet(requirements, on: host).filter { failure in
                guard case .hypervisor(.networkIsLocal(let name, _)) = failure.reason else { return true }
                return !stretchedNetworks.contains(name)
            }
        } catch {
            let reason = PreflightFailure.Reason.hypervisor(.silent(detail: "\(error)"))
            failures.append(PreflightFailure(check: .hypervisor, host: host, reason: reason))
        }
        if takesMemory { failures += memory(requirements) }
        failures += requirements.networks.compactMap(bridge)
        failures += await storage(requirements)
        return failures
    }

    /// Checks all disks at once: the source waits a limited time for the answer.
    private func storage(_ requirements: VMRequirements) async -> [PreflightFailure] {
        await withTaskGroup(of: (Int, PreflightFailure.HostReason?).self) { group in
            for (index, disk) in requirements.disks.enumerated() {
                group.addTask { (index, await unreachable(disk, requirements.files)) }
            }
            var reasons: [Int: PreflightFailure.HostReason] = [:]
            for await (index, reason) in group { reasons[index] = reason }
            return reasons.sorted { $0.key < $1.key }.map { failure(.storage, $0.value) }
        }
    }

    private func failure(
        _ check: PreflightFailure.Check,
        _ reason: PreflightFailure.HostReason
    ) -> PreflightFailure {
        PreflightFailure(check: check, host: host, reason: .host(reason))
    }

    private func memory(_ requirements: VMRequirements) -> [PreflightFailure] {
        // Other hosts wrote the VM's requirements: no number in them may crash this agent.
        let needed = [requirements.memoryBytes, Self.overheadBytes, promisedBytes].reduce(UInt64(0)) { sum, bytes in
            let (next, overflowed) = sum.addingReportingOverflow(bytes)
            return overflowed ? .max : next
        }
        do {
            let memory = try resources.memory()
            if needed > memory.availableBytes {
                let available = memory.availableBytes
                return [
                    failure(
                        .memory,
                        .memoryShort(availableBytes: available, neededBytes: needed, promisedBytes: promisedBytes)
                    )
                ]
            }
            let after = memory.usedBytes + needed
            if Double(after) > memoryCeiling * Double(memory.totalBytes) {
                let share = Int((Double(after) / Double(memory.totalBytes) * 100).rounded())
                let limit = Int(memoryCeiling * 100)
                return [
                    failure(.memory, .memoryOverLimit(share: share, limit: limit, promisedBytes: promisedBytes))
                ]
            }
            return []
        } catch {
            return [failure(.memory, .memoryUnknown(detail: "\(error)"))]
        }
    }

    /// Checks bridges, which are interfaces of the host; the hypervisor checks libvirt networks.
    private func bridge(_ network: NetworkSource) -> PreflightFailure? {
        switch network {
        case .bridge(let name):
            exists("\(sys)/class/net/\(name)/bridge") ? nil : failure(.network, .noBridge(name))
        case .network: nil
        case .other(let type):
            failure(.network, .interfaceNotCheckable(type: type))
        }
    }

    /// Returns why a disk cannot be reached from here; `nil` when it can.
    private func unreachable(_ disk: DiskSource, _ files: [DiskFile]?) async -> PreflightFailure.HostReason? {
        switch disk {
        case .iscsi(let address, let port, let iqn, let lun):
            return await unreadable("iscsi://\(address.inURI):\(port)/\(iqn)/\(lun)")
        case .file(let path):
            // An older agent of the source proves nothing.
            let file = files?.first { $0.path == path } ?? DiskFile(path: path, isReadOnly: false)
            let checks = DiskFiles(order: order, timeLimit: storageTimeLimit, sharedTypes: sharedTypes)
            return await checks.difference(of: file)
        case .block(let path, let identity): return await otherDevice(path, identity: identity)
        case .other(let type, let detail):
            return .diskNotCheckable(type: type, detail: detail)
        }
    }

    /// A separate program checks the path: a dead file server would block a thread of the agent forever.
    private func missing(_ path: String) async -> PreflightFailure.HostReason? {
        do {
            try await Command("stat", ["--", path], timeLimit: storageTimeLimit).run()
            return nil
        } catch {
            return .fileMissing(path, detail: "\(error)")
        }
    }

    /// A path such as /dev/sdb exists on every host; only the device's identity shows whether it is the same disk.
    private func otherDevice(_ path: String, identity: String?) async -> PreflightFailure.HostReason? {
        if let reason = await missing(path) { return reason }
        guard let identity else { return .deviceWithoutIdentity(path) }
        let own = BlockDevice.identity(ofDeviceAt: path, sys: sys)
        return own == identity ? nil : .otherDevice(path, here: own, source: identity)
    }

    /// Asks QEMU's own block layer, which will open the disk later.
    private func unreadable(_ url: String) async -> PreflightFailure.HostReason? {
        do {
            try await Command("qemu-img", ["info", "--force-share", url], timeLimit: storageTimeLimit).run()
            return nil
        } catch {
            return .unreadable(url: url, detail: "\(error)")
        }
    }
}
