// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Hypervisor

/// What a target makes sure of before it consents to take a VM.
struct TargetChecks: Sendable {
    let host: HostName
    let hypervisor: any Hypervisor
    let resources: any ResourceSource
    /// Share of the host's memory that must stay unused.
    let memoryCeiling: Double
    /// Memory that was promised to VMs that are on their way here.
    var promisedBytes: UInt64 = 0
    var sys = "/sys"
    /// How long one disk may take to be found.
    var storageTimeLimit: Duration = .seconds(10)

    /// QEMU's own needs beside the guest's memory, at least: device models, page tables, the migration's buffers.
    static let overheadBytes: UInt64 = 64 << 20

    /// Everything that is missing here; empty when the VM may come.
    func unmet(_ requirements: VMRequirements) async -> [PreflightFailure] {
        var failures: [PreflightFailure] = []
        do {
            failures += try await hypervisor.unmet(requirements, on: host)
        } catch {
            failures.append(failure(.hypervisor, "it does not answer: \(error)"))
        }
        failures += memory(requirements)
        failures += requirements.networks.compactMap(bridge)
        failures += await storage(requirements.disks)
        return failures
    }

    /// All disks at once: the source waits for the answer only so long.
    private func storage(_ disks: [DiskSource]) async -> [PreflightFailure] {
        await withTaskGroup(of: (Int, String?).self) { group in
            for (index, disk) in disks.enumerated() {
                group.addTask { (index, await unreachable(disk)) }
            }
            var reasons: [Int: String] = [:]
            for await (index, reason) in group { reasons[index] = reason }
            return reasons.sorted { $0.key < $1.key }.map { failure(.storage, $0.value) }
        }
    }

    private func failure(_ check: PreflightFailure.Check, _ reason: String) -> PreflightFailure {
        PreflightFailure(check: check, host: host, reason: reason)
    }

    private func memory(_ requirements: VMRequirements) -> [PreflightFailure] {
        // What VMs need was written by other hosts: no figure in it may end this agent.
        let needed = [requirements.memoryBytes, Self.overheadBytes, promisedBytes].reduce(UInt64(0)) { sum, bytes in
            let (next, isBeyondCounting) = sum.addingReportingOverflow(bytes)
            return isBeyondCounting ? .max : next
        }
        let promised = promisedBytes > 0 ? " and with \(promisedBytes >> 20) MiB promised to others" : ""
        do {
            let memory = try resources.memory()
            if needed > memory.availableBytes {
                let words = "\(memory.availableBytes >> 20) MiB available, \(needed >> 20) MiB needed with QEMU's own"
                return [failure(.memory, words + promised)]
            }
            let after = memory.usedBytes + needed
            if Double(after) > memoryCeiling * Double(memory.totalBytes) {
                let share = Int((Double(after) / Double(memory.totalBytes) * 100).rounded())
                let words = "it would be at \(share) %, over policy.memory.upper (\(Int(memoryCeiling * 100)) %)"
                return [failure(.memory, words + promised)]
            }
            return []
        } catch {
            return [failure(.memory, "it is not known: \(error)")]
        }
    }

    /// libvirt networks are the hypervisor's to check; a bridge is an interface of the host.
    private func bridge(_ network: NetworkSource) -> PreflightFailure? {
        switch network {
        case .bridge(let name):
            exists("\(sys)/class/net/\(name)/bridge") ? nil : failure(.network, "there is no bridge \(name)")
        case .network: nil
        case .other(let type):
            failure(
                .network,
                "an interface of type '\(type)' cannot be checked from here: attach it to a bridge or network"
            )
        }
    }

    /// Why a disk cannot be reached from here; `nil` when it can.
    private func unreachable(_ disk: DiskSource) async -> String? {
        switch disk {
        case .iscsi(let address, let port, let iqn, let lun):
            let host = address.contains(":") ? "[\(address)]" : address
            return await unreadable("iscsi://\(host):\(port)/\(iqn)/\(lun)")
        case .file(let path): return await missing(path)
        case .block(let path, let identity): return await otherDevice(path, identity: identity)
        case .other(let type, let detail):
            return "a disk of type '\(type)' (\(detail)) cannot be checked from here"
        }
    }

    /// Looked up by a program of its own: a file server that is gone would hold a thread of the agent for ever.
    private func missing(_ path: String) async -> String? {
        do {
            try await Command("stat", ["--", path], timeLimit: storageTimeLimit).run()
            return nil
        } catch {
            return "\(path) is not there: is the shared storage mounted? (\(error))"
        }
    }

    /// A path such as /dev/sdb exists on every host; only the device's identity tells whether it is the same disk.
    private func otherDevice(_ path: String, identity: String?) async -> String? {
        if let reason = await missing(path) { return reason }
        guard let identity else {
            return "\(path) has no identity at the source (device mapper uuid, WWID or serial) to be compared with"
        }
        let own = BlockDevice.identity(ofDeviceAt: path, sys: sys)
        return own == identity ? nil : "\(path) is another device here (\(own ?? "no identity"), not \(identity))"
    }

    /// Asks QEMU's own block layer, which is what will open it.
    private func unreadable(_ url: String) async -> String? {
        do {
            try await Command("qemu-img", ["info", "--force-share", url], timeLimit: storageTimeLimit).run()
            return nil
        } catch {
            return "\(url) cannot be read: \(error)"
        }
    }
}
