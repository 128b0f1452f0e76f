// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import Glibc

/// The lab's groups below one name, in every tree with a controller that the lab uses.
///
///     NAME/infrastructure   iSCSI target, capture: no limit
///     NAME/hN               the host's quota and memory limit
///     NAME/hN/system        libvirtd, charon, agent: eight times the weight
///     NAME/hN/machines      the QEMU processes
struct Cgroups: Sendable {
    let layout: CgroupLayout
    let name: String

    /// The quota's period in microseconds; a short one, so that a throttled host slows down instead of stopping for
    /// long.
    static let period = 50_000
    /// Weight of a host's services relative to its machines: a busy VM must not starve the services that move it away.
    static let systemWeight = 8

    func folder(_ root: String, _ group: String) -> String {
        group.isEmpty ? "\(root)/\(name)" : "\(root)/\(name)/\(group)"
    }

    func procsFiles(_ group: String) -> [String] { layout.roots.map { "\(folder($0, group))/cgroup.procs" } }

    func makeTop() throws {
        for root in layout.roots {
            if case .unified = layout { try enableControllers(in: root) }
            try Files.makeFolder(folder(root, ""))
            if case .unified = layout { try enableControllers(in: folder(root, "")) }
            try Files.makeFolder(folder(root, "infrastructure"))
        }
    }

    /// Creates a group without limits next to the others, unless it exists.
    func makeGroup(_ group: String) throws {
        for root in layout.roots { try Files.makeFolder(folder(root, group)) }
    }

    /// Passes the controllers on to a group's children, which version 2 requires.
    private func enableControllers(in folder: String) throws {
        do {
            try Files.write("+cpu +memory", to: "\(folder)/cgroup.subtree_control")
        } catch {
            throw LabError.file(
                path: "\(folder)/cgroup.subtree_control",
                reason: "cannot enable the cpu and memory controllers (\(Files.reason())). In a container, "
                    + "start it with the machine's cgroup tree, or with no process in its top group"
            )
        }
    }

    func makeHost(_ host: String, memoryBytes: UInt64) throws {
        for root in layout.roots {
            try Files.makeFolder(folder(root, host))
            if case .unified = layout { try enableControllers(in: folder(root, host)) }
            for group in ["system", "machines"] { try Files.makeFolder(folder(root, "\(host)/\(group)")) }
        }
        switch layout {
        case .unified(let root):
            try Files.write("\(memoryBytes)", to: "\(folder(root, host))/memory.max")
            try Files.write("\(100 * Self.systemWeight)", to: "\(folder(root, "\(host)/system"))/cpu.weight")
        case .split(let cpu, _, let memory):
            try Files.write("\(memoryBytes)", to: "\(folder(memory, host))/memory.limit_in_bytes")
            try Files.write("\(1024 * Self.systemWeight)", to: "\(folder(cpu, "\(host)/system"))/cpu.shares")
        }
    }

    /// Sets the host's quota in cores; `nil` removes it.
    func setCores(_ cores: Double?, of host: String) throws {
        let quota = cores.map { max(1000, Int($0 * Double(Self.period))) }
        switch layout {
        case .unified(let root):
            try Files.write("\(quota.map(String.init) ?? "max") \(Self.period)", to: "\(folder(root, host))/cpu.max")
        case .split(let cpu, _, _):
            try Files.write("\(Self.period)", to: "\(folder(cpu, host))/cpu.cfs_period_us")
            try Files.write("\(quota ?? -1)", to: "\(folder(cpu, host))/cpu.cfs_quota_us")
        }
    }

    /// Returns the processes in a group and in the groups below it.
    func processes(below group: String = "") -> [Int32] {
        var found: [Int32] = []
        var folders = [folder(layout.anyRoot, group)]
        while let next = folders.popLast() {
            guard let text = try? Files.text("\(next)/cgroup.procs") else { continue }
            found += text.split(separator: "\n").compactMap { Int32($0) }
            folders += Files.entries(next).map { "\(next)/\($0)" }.filter(Files.isFolder)
        }
        return found.sorted()
    }

    /// Ends every process in the lab's groups, or in one of them, and only those.
    func killAll(below group: String = "") async throws {
        let what = group.isEmpty ? "all the lab's processes" : "all processes of \(group)"
        try await waitUntil("the end of \(what)", within: .seconds(20)) {
            let left = processes(below: group)
            for process in left { kill(process, SIGKILL) }
            return left.isEmpty
        }
    }

    /// Freezes every process of a group, also those that are started meanwhile; returns when it began.
    func freeze(_ group: String) async throws -> Instant {
        for process in processes(below: group) { kill(process, SIGSTOP) }
        let began = Instant.now
        try await waitUntil("all processes of \(group) to be frozen", within: .seconds(10)) {
            let left = processes(below: group).filter { !ProcessStat.isStopped($0) }
            for process in left { kill(process, SIGSTOP) }
            return left.isEmpty
        }
        return began
    }

    /// Lets every process of the lab continue; nothing changes for one that is not frozen.
    func thaw() { for process in processes() { kill(process, SIGCONT) } }

    /// Removes the groups, innermost first.
    func removeAll() async throws {
        for root in layout.roots {
            try await waitUntil("the removal of \(folder(root, ""))", within: .seconds(5)) {
                Self.removeFolder(folder(root, ""))
                return !Files.exists(folder(root, ""))
            }
        }
    }

    private static func removeFolder(_ path: String) {
        for entry in Files.entries(path) where Files.isFolder("\(path)/\(entry)") { removeFolder("\(path)/\(entry)") }
        rmdir(path)
    }
}
