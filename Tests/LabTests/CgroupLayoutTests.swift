// SPDX-License-Identifier: Apache-2.0
import Lab
import Testing

/// The texts of /proc/self/mounts and of each tree's cgroup.controllers, for three kinds of machines.
struct CgroupLayoutTests {
    private static let version1 = """
        tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
        cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0
        cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0
        """

    @Test func `cgroup version 2 uses its single tree`() throws {
        let mounts = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n"
        let layout = try CgroupLayout.decide(mounts: mounts) { _ in "cpuset cpu io memory pids\n" }
        #expect(layout == .unified(root: "/sys/fs/cgroup"))
        #expect(layout.roots == ["/sys/fs/cgroup"])
    }

    @Test func `cgroup version 1 uses several trees, and a shared one is joined once`() throws {
        let layout = try CgroupLayout.decide(mounts: Self.version1) { _ in nil }
        let both = "/sys/fs/cgroup/cpu,cpuacct"
        #expect(layout == .split(cpu: both, cpuacct: both, memory: "/sys/fs/cgroup/memory"))
        #expect(layout.roots == [both, "/sys/fs/cgroup/memory"])
    }

    @Test func `a version 2 tree without controllers is skipped`() throws {
        let mounts = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n" + Self.version1
        let layout = try CgroupLayout.decide(mounts: mounts) { _ in "" }
        #expect(layout.roots.count == 2)
    }

    @Test func `the first mount of a controller is used`() throws {
        let mounts = Self.version1 + "\ncgroup /elsewhere cgroup rw,cpu,cpuacct 0 0\n"
        #expect(try CgroupLayout.decide(mounts: mounts) { _ in nil }.roots.first == "/sys/fs/cgroup/cpu,cpuacct")
    }

    @Test(
        arguments: [
            ("", "cpu"),
            ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", "cpu"),
            ("cgroup /c cgroup rw,cpu 0 0", "cpuacct"),
            ("cgroup /c cgroup rw,cpu,cpuacct 0 0", "memory"),
        ]
    )
    func `a missing controller is named`(mounts: String, missing: String) {
        #expect(throws: CgroupLayout.Unusable(missing: missing)) {
            try CgroupLayout.decide(mounts: mounts) { _ in "pids" }
        }
    }
}
