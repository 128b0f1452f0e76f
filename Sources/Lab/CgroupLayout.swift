// SPDX-License-Identifier: Apache-2.0

/// The location of this machine's CPU and memory controllers.
///
/// Machines have version 2 alone, version 1 alone, or both: then a version 2 tree is mounted without controllers. The
/// tree with the CPU controller decides.
public enum CgroupLayout: Sendable, Codable, Equatable {
    /// Version 2: one tree.
    case unified(root: String)
    /// Version 1: one tree for each controller; several controllers may share a tree.
    case split(cpu: String, cpuacct: String, memory: String)

    /// Determines the layout from the text of /proc/self/mounts; `controllers` reads a tree's `cgroup.controllers`.
    public static func decide(mounts: String, controllers: (_ root: String) -> String?) throws(Unusable) -> Self {
        var version1: [String: String] = [:]
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 4 else { continue }
            let path = String(fields[1])
            if fields[2] == "cgroup2" {
                let names = Set((controllers(path) ?? "").split { $0.isWhitespace })
                if names.isSuperset(of: ["cpu", "memory"]) { return .unified(root: path) }
            } else if fields[2] == "cgroup" {
                // Use the first mount of a controller; the others are bind mounts of it.
                for option in fields[3].split(separator: ",") where version1[String(option)] == nil {
                    version1[String(option)] = path
                }
            }
        }
        guard let cpu = version1["cpu"] else { throw Unusable(missing: "cpu") }
        guard let cpuacct = version1["cpuacct"] else { throw Unusable(missing: "cpuacct") }
        guard let memory = version1["memory"] else { throw Unusable(missing: "memory") }
        return .split(cpu: cpu, cpuacct: cpuacct, memory: memory)
    }

    /// No mounted tree has the controller.
    public struct Unusable: Error, Sendable, Equatable, CustomStringConvertible {
        public var missing: String
        public init(missing: String) { self.missing = missing }
        public var description: String {
            "no cgroup tree with the \(missing) controller is mounted "
                + "(mount one, for instance: mount -t cgroup2 cgroup2 /sys/fs/cgroup)"
        }
    }

    static func ofThisMachine() throws -> Self {
        try decide(mounts: Files.text("/proc/self/mounts")) { try? Files.text("\($0)/cgroup.controllers") }
    }

    /// The roots of all trees to which a process must be added, without duplicates.
    public var roots: [String] {
        switch self {
        case .unified(let root): [root]
        case .split(let cpu, let cpuacct, let memory):
            [cpu, cpuacct, memory].reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        }
    }

    /// The root of one tree; all trees hold the same groups with the same processes.
    var anyRoot: String { roots[0] }
}
