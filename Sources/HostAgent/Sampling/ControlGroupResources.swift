// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A host that is a control group: capacity from its quota and limit, use from its own counters (v1 and v2).
///
/// Load averages are the machine's, not the group's, and are therefore omitted.
struct ControlGroupResources: ResourceSource {
    /// Path below the hierarchy's root, without a leading slash.
    let path: String
    var root = "/sys/fs/cgroup"
    /// Figures of the machine: cores for a group without a quota, and upper bounds of memory.
    let machine: MachineResources

    init(path: String, root: String = "/sys/fs/cgroup", machine: MachineResources = MachineResources()) {
        self.path = String(path.drop(while: { $0 == "/" }))
        self.root = root
        self.machine = machine
    }

    /// Returns the group's folder in the unified hierarchy, if it contains the file.
    private func unified(with file: String) -> String? {
        ["\(root)/\(path)", "\(root)/unified/\(path)"].first { exists("\($0)/\(file)") }
    }

    func cpu() throws(SourceError) -> CPUCounter {
        if let group = unified(with: "cpu.max") {
            let quota = try readText("\(group)/cpu.max").split(whereSeparator: \.isWhitespace)
            guard let microseconds = try readTable("\(group)/cpu.stat")["usage_usec"], quota.count == 2 else {
                throw SourceError(description: "\(group)/cpu.stat or cpu.max has an unexpected format")
            }
            let capacity = try capacity(quota: Double(quota[0]), period: Double(quota[1]))
            return CPUCounter(busySeconds: Double(microseconds) / 1e6, capacityCores: capacity)
        }
        let nanoseconds = try readNumber("\(root)/cpuacct/\(path)/cpuacct.usage")
        let group = "\(root)/cpu/\(path)"
        let quota = try readText("\(group)/cpu.cfs_quota_us").filter { !$0.isWhitespace }
        let period = try readNumber("\(group)/cpu.cfs_period_us")
        let capacity = try capacity(quota: Double(quota), period: Double(period))
        return CPUCounter(busySeconds: Double(nanoseconds) / 1e9, capacityCores: capacity)
    }

    /// Returns the cores that a quota of CPU time per period allows, at most the machine's; all of them without a
    /// quota.
    private func capacity(quota: Double?, period: Double?) throws(SourceError) -> Double {
        let cores = try machine.cpu().capacityCores
        guard let quota, let period, quota > 0, period > 0 else { return cores }
        return min(quota / period, cores)
    }

    func memory() throws(SourceError) -> MemoryLoad {
        let whole = try machine.memory()
        let (limit, current, inactive): (UInt64?, UInt64, UInt64)
        if let group = unified(with: "memory.max") {
            limit = UInt64(try readText("\(group)/memory.max").filter { !$0.isWhitespace })
            current = try readNumber("\(group)/memory.current")
            inactive = try readTable("\(group)/memory.stat")["inactive_file"] ?? 0
        } else {
            let group = "\(root)/memory/\(path)"
            limit = try readNumber("\(group)/memory.limit_in_bytes")
            current = try readNumber("\(group)/memory.usage_in_bytes")
            inactive = try readTable("\(group)/memory.stat")["total_inactive_file"] ?? 0
        }
        let total = min(limit ?? .max, whole.totalBytes)
        // The kernel drops inactive page cache when needed, so it counts as free.
        let used = min(current - min(inactive, current), total)
        return MemoryLoad(totalBytes: total, usedBytes: used, availableBytes: min(total - used, whole.availableBytes))
    }

    func pressure() throws(SourceError) -> Pressure? {
        guard let group = unified(with: "cpu.pressure") else { return nil }
        return try readPressure { "\(group)/\($0).pressure" }
    }

    func loadAverage() throws(SourceError) -> LoadAverage? { nil }
}
