// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HostOS

extension HostLab {
    /// Takes down the site's lab, even if it was started only in part; does nothing if there is none.
    ///
    /// Needs only the site's name: cgroups identify processes, prefixes identify namespaces, and mounts end with their
    /// namespaces. Keeps the cache. Throws if anything is left.
    public static func down(site: LabSite = LabSite()) async throws {
        let cgroups = Cgroups(layout: try .ofThisMachine(), name: site.name)
        try await cgroups.killAll()
        try await LabNetwork(site: site).removeAll()
        try await cgroups.removeAll()
        // Last, because this folder prevents another lab at this site. Its files are many and large, so it takes time.
        try await Blocking.run { for folder in site.memoryFolders + [site.stateFolder] { try Files.remove(folder) } }
        let left = try leftovers(site: site)
        guard left.isEmpty else { throw LabError.left(left) }
    }

    /// Returns the process and the command of another `evenkeel-lab` that runs the site's lab now; `nil` if none does.
    ///
    /// The lab of `evenkeel-lab up` belongs to no process.
    public static func user(of site: LabSite) -> String? {
        guard let process = LabState.owner(of: site), process != getpid(),
            let arguments = try? Files.text("/proc/\(process)/cmdline").split(separator: "\0"),
            arguments.first?.split(separator: "/").last == "evenkeel-lab"
        else { return nil }
        return "process \(process) (evenkeel-lab \(arguments.dropFirst().prefix(1).joined()))"
    }

    /// Returns descriptions of what is left of the site's lab on this machine; empty if there is none.
    public static func leftovers(site: LabSite = LabSite()) throws -> [String] {
        let cgroups = Cgroups(layout: try .ofThisMachine(), name: site.name)
        var left = cgroups.processes().map { "process \($0)" }
        left += LabNetwork(site: site).namespaces().map { "network namespace \($0)" }
        left += cgroups.layout.roots.map { cgroups.folder($0, "") }.filter(Files.exists).map { "cgroup \($0)" }
        left += (site.memoryFolders + [site.stateFolder]).filter(Files.exists).map { "folder \($0)" }
        left += try Files.text("/proc/self/mounts").split(separator: "\n").map { $0.split(separator: " ") }
            .filter { $0.count > 1 && $0[1].hasPrefix("\(site.stateFolder)/") }.map { "mount \($0[1])" }
        return left
    }
}
