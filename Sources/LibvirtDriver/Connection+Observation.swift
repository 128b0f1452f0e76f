// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Hypervisor

extension Connection {
    /// What the hypervisor shows of its machine and its active VMs, to whoever may read.
    func observation(of host: HostName) throws(LibvirtError) -> PeerObservation {
        var node = virNodeInfo()
        guard virNodeGetInfo(handle.pointer, &node) == 0 else { throw .last(in: "virNodeGetInfo") }
        let active = try domains(withDigests: false).filter { $0.state.isActive }
        let memory = nodeMemory()
        return PeerObservation(
            host: host,
            at: Instant(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)),
            cpus: Int(node.cpus),
            // The sum over the NUMA nodes, which leaves some of it out on some machines, is the second choice.
            memoryBytes: memory["total"] ?? UInt64(node.memory) * 1024,
            availableBytes: available(memory),
            activeVMs: active.map(\.id).sorted(),
            vmMemoryBytes: active.reduce(0) { $0 + ($1.memoryBytes ?? 0) }
        )
    }

    /// Free memory, buffers and the page cache: a little more than could be had, since tmpfs counts as cache.
    private func available(_ memory: [String: UInt64]) -> UInt64? {
        if let free = memory["free"] { return free + (memory["buffers"] ?? 0) + (memory["cached"] ?? 0) }
        // Xen has no statistics of the node's memory; what it says is free is so, as dom0's caches are not counted.
        let free = virNodeGetFreeMemory(handle.pointer)
        return free > 0 ? free : nil
    }

    /// libvirt's figures of the whole node's memory, in bytes; empty where the driver has none.
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
            // In KiB.
            found[name] = figure.value * 1024
        }
        return found
    }
}
