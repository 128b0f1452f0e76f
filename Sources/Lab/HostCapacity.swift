// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// A lab host's capacity and the files that show its usage, for the agent's configuration.
///
/// All namespaces share one /proc/stat, so a lab host's load is its cgroup's usage relative to its quota.
public struct HostCapacity: Sendable, Codable, Equatable {
    /// The quota in cores.
    public var cores: Double
    public var memoryBytes: UInt64
    /// `1` (split trees) or `2` (one tree).
    public var cgroupVersion: Int
    /// `cpuacct.usage` (nanoseconds) in version 1, `cpu.stat` (`usage_usec`) in version 2.
    public var cpuUsageFile: String
    /// `memory.usage_in_bytes` in version 1, `memory.current` in version 2.
    public var memoryUsageFile: String
    /// The group's folder in the trees of the cpu, cpuacct and memory controllers; the same one in version 2.
    public var cpuFolder: String
    public var cpuacctFolder: String
    public var memoryFolder: String

    init(plan: HostPlan, cgroups: Cgroups) {
        cores = plan.cores
        memoryBytes = plan.memoryBytes
        let host = plan.name.rawValue
        switch cgroups.layout {
        case .unified(let root):
            cgroupVersion = 2
            cpuFolder = cgroups.folder(root, host)
            cpuacctFolder = cpuFolder
            memoryFolder = cpuFolder
            cpuUsageFile = "\(cpuFolder)/cpu.stat"
            memoryUsageFile = "\(memoryFolder)/memory.current"
        case .split(let cpu, let cpuacct, let memory):
            cgroupVersion = 1
            cpuFolder = cgroups.folder(cpu, host)
            cpuacctFolder = cgroups.folder(cpuacct, host)
            memoryFolder = cgroups.folder(memory, host)
            cpuUsageFile = "\(cpuacctFolder)/cpuacct.usage"
            memoryUsageFile = "\(memoryFolder)/memory.usage_in_bytes"
        }
    }

    /// CPU time used so far, in seconds.
    public func cpuSecondsUsed() throws -> Double {
        let text = try Files.text(cpuUsageFile)
        if cgroupVersion == 1, let nanoseconds = Double(text.prefix { $0.isNumber }) { return nanoseconds / 1e9 }
        for line in text.split(separator: "\n") where line.hasPrefix("usage_usec ") {
            if let microseconds = Double(line.dropFirst("usage_usec ".count)) { return microseconds / 1e6 }
        }
        throw LabError.file(path: cpuUsageFile, reason: "contains no CPU usage")
    }
}
