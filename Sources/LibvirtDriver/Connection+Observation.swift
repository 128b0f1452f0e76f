// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Hypervisor

extension Connection {
    /// Returns the node's CPUs and memory and its active VMs; a read-only connection is enough.
    func observation(of host: HostName) throws(LibvirtError) -> PeerObservation {
        var node = virNodeInfo()
        guard virNodeGetInfo(handle.pointer, &node) == 0 else { throw .last(in: "virNodeGetInfo") }
        let active = try domains(withDigests: false).filter { $0.state.isActive }
        let memory = nodeMemory()
        return PeerObservation(
            host: host,
            at: .now,
            cpus: Int(node.cpus),
            // Second choice: `virNodeGetInfo` sums the NUMA nodes, and on some machines that sum is too small.
            memoryBytes: memory["total"] ?? UInt64(node.memory) * 1024,
            availableBytes: available(memory),
            activeVMs: active.map(\.id).sorted(),
            vmMemoryBytes: active.reduce(0) { $0 + ($1.memoryBytes ?? 0) }
        )
    }

    /// Returns free memory, buffers and page cache in bytes: slightly too much, because tmpfs counts as cache.
    private func available(_ memory: [String: UInt64]) -> UInt64? {
        if let free = memory["free"] { return free + (memory["buffers"] ?? 0) + (memory["cached"] ?? 0) }
        // Xen has no memory statistics of the node. Its free memory is really free: it does not include dom0's caches.
        let free = virNodeGetFreeMemory(handle.pointer)
        return free > 0 ? free : nil
    }

    /// Returns libvirt's memory statistics of the whole node in bytes; empty if the driver has none.
    private func nodeMemory() -> [String: UInt64] {
        let all = Int32(VIR_NODE_MEMORY_STATS_ALL_CELLS.rawValue)
        var count: Int32 = 0
        guard virNodeGetMemoryStats(handle.pointer, all, nil, &count, 0) == 0, count > 0 else { return [:] }
        var figures = [virNodeMemoryStats](repeating: virNodeMemoryStats(), count: Int(count))
        guard virNodeGetMemoryStats(handle.pointer, all, &figures, &count, 0) == 0 else { return [:] }
        var found: [String: UInt64] = [:]
        for figure in figures.prefix(Int(count)) {
            let name = withUnsafeBytes(of: figure.field) { bytes in
                String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            // libvirt gives KiB.
            found[name] = figure.value * 1024
        }
        return found
    }
}
