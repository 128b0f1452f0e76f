// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import HostAgent

/// Trees as the kernel shows them: v1 (a hierarchy for each controller), v2, and hybrid.
@Suite struct ControlGroupResourcesTests {
    private let machine: FixtureTree
    private let tree: FixtureTree
    private let group: ControlGroupResources

    init() throws {
        machine = try .machine()
        tree = try FixtureTree()
        group = ControlGroupResources(
            path: "/fleet/h1",
            root: tree.path,
            machine: MachineResources(proc: machine.path)
        )
    }

    private func writeV1(quota: Int = 50000, limit: UInt64 = 1 << 30) throws {
        try tree.write("\(quota)\n", to: "cpu/fleet/h1/cpu.cfs_quota_us")
        try tree.write("100000\n", to: "cpu/fleet/h1/cpu.cfs_period_us")
        try tree.write("2500000000\n", to: "cpuacct/fleet/h1/cpuacct.usage")
        try tree.write("\(limit)\n", to: "memory/fleet/h1/memory.limit_in_bytes")
        try tree.write("\(600 << 20)\n", to: "memory/fleet/h1/memory.usage_in_bytes")
        let stat = "cache 1\ninactive_file 1\ntotal_inactive_file \(100 << 20)\n"
        try tree.write(stat, to: "memory/fleet/h1/memory.stat")
    }

    private func writeV2(_ folder: String = "fleet/h1", cpu: String = "150000 100000", memory: String) throws {
        try tree.write(cpu + "\n", to: "\(folder)/cpu.max")
        try tree.write("usage_usec 7500000\nuser_usec 1\nsystem_usec 2\n", to: "\(folder)/cpu.stat")
        try tree.write(memory + "\n", to: "\(folder)/memory.max")
        try tree.write("\(600 << 20)\n", to: "\(folder)/memory.current")
        try tree.write("anon 5\ninactive_file \(100 << 20)\n", to: "\(folder)/memory.stat")
    }

    @Test func `v1: the quota is the capacity and cpuacct the usage`() throws {
        try writeV1()
        let counter = try group.cpu()
        #expect(counter.capacityCores == 0.5)
        #expect(counter.busySeconds == 2.5)
    }

    @Test func `v1: a group without a quota may use all cores`() throws {
        try writeV1(quota: -1)
        #expect(try group.cpu().capacityCores == 2)
    }

    @Test func `v1: reclaimable cache does not count as used below the group's limit`() throws {
        try writeV1()
        #expect(
            try group.memory()
                == MemoryLoad(totalBytes: 1 << 30, usedBytes: 500 << 20, availableBytes: 524 << 20)
        )
    }

    @Test func `v1: a very large number means no limit, and the machine's memory applies`() throws {
        try writeV1(limit: 9_223_372_036_854_771_712)
        let memory = try group.memory()
        #expect(memory.totalBytes == 8 << 30)
        #expect(memory.usedBytes == 500 << 20)
        // The group could have 7.5 GiB, but others use all but 6.
        #expect(memory.availableBytes == 6 << 30)
    }

    @Test func `v2: the quota is the capacity and cpu.stat the usage`() throws {
        try writeV2(memory: "max")
        let counter = try group.cpu()
        #expect(counter.capacityCores == 1.5)
        #expect(counter.busySeconds == 7.5)
    }

    @Test func `v2: max stands for all cores and all memory`() throws {
        try writeV2(cpu: "max 100000", memory: "max")
        #expect(try group.cpu().capacityCores == 2)
        #expect(try group.memory().totalBytes == 8 << 30)
    }

    @Test func `v2: reclaimable cache does not count as used below the group's limit`() throws {
        try writeV2(memory: "\(1 << 30)")
        #expect(
            try group.memory()
                == MemoryLoad(totalBytes: 1 << 30, usedBytes: 500 << 20, availableBytes: 524 << 20)
        )
    }

    @Test func `a quota of more cores than the machine has is ignored`() throws {
        try writeV1(quota: 800_000)
        #expect(try group.cpu().capacityCores == 2)
        try writeV2(cpu: "800000 100000", memory: "max")
        #expect(try group.cpu().capacityCores == 2)
    }

    @Test func `hybrid: a unified tree without controllers is skipped`() throws {
        try writeV1()
        try tree.write("0\n", to: "unified/fleet/h1/cgroup.procs")
        try tree.write("usage_usec 1\n", to: "unified/fleet/h1/cpu.stat")
        #expect(try group.cpu().busySeconds == 2.5)
        #expect(try group.memory().totalBytes == 1 << 30)
        #expect(try group.pressure() == nil)
    }

    @Test func `hybrid: the unified tree is used if it has the controllers`() throws {
        try writeV2("unified/fleet/h1", memory: "\(1 << 30)")
        try tree.write("some avg10=3.00 avg60=0.00 avg300=0.00 total=0\n", to: "unified/fleet/h1/cpu.pressure")
        #expect(try group.cpu().busySeconds == 7.5)
        #expect(try group.memory().totalBytes == 1 << 30)
        #expect(try group.pressure() == Pressure(cpu: 3, memory: nil, io: nil))
    }

    @Test func `a missing group is an error that names its file`() throws {
        let error = #expect(throws: SourceError.self) { try group.cpu() }
        #expect(error?.description.contains("/fleet/h1/cpuacct.usage: No such file") == true)
        #expect(throws: SourceError.self) { try group.memory() }
    }

    @Test func `load averages belong to the machine, so a group has none`() throws {
        #expect(try group.loadAverage() == nil)
    }
}
