// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import TestSupport
import Testing

@testable import HostAgent

@Suite struct HostSamplerTests {
    private let tree: FixtureTree
    private let world = InMemoryWorld.sample()
    private var sampler: HostSampler

    init() throws {
        tree = try .machine()
        sampler = HostSampler(host: h1, resources: MachineResources(proc: tree.path), proc: tree.path)
        world.place(.testVM(), on: h1)
    }

    /// Returns a sample taken this long after the start.
    private mutating func sample(at uptime: Duration) async -> LoadSample {
        await sampler.sample(
            at: Instant(milliseconds: 1000),
            uptime: uptime,
            hypervisor: world.hypervisor(of: h1)
        )
    }

    @Test mutating func `the first sample has figures but no rates`() async {
        let first = await sample(at: .zero)
        #expect(first.intervalSeconds == nil)
        #expect(first.cpu == nil)
        #expect(first.network == nil)
        #expect(first.vms?.map(\.cpuCores) == [nil])
        #expect(first.memory?.totalBytes == 8 << 30)
        #expect(first.loadAverage?.one == 0.5)
        #expect(first.hypervisor == .sample)
        #expect(first.failures.isEmpty)
    }

    @Test mutating func `the second sample has rates over the time between the two`() async throws {
        _ = await sample(at: .seconds(10))
        try tree.writeStat(user: 1400, idle: 5400, iowait: 200)
        try tree.writeTraffic(received: 9000, sent: 3000)
        world.setCPUTime(1_000_000_000, of: vm)
        let second = await sample(at: .seconds(14))
        #expect(second.intervalSeconds == 4)
        #expect(second.cpu == CPULoad(capacityCores: 2, busyCores: 1))
        #expect(second.network == NetworkLoad(receivedBytesPerSecond: 2000, sentBytesPerSecond: 250))
        #expect(second.vms?.map(\.cpuCores) == [0.25])
        #expect(second.failures.isEmpty)
    }

    @Test mutating func `rates have six decimal places`() async {
        world.setCPUTime(1_000_000_000, of: vm)
        _ = await sample(at: .zero)
        world.setCPUTime(2_000_000_000, of: vm)
        #expect(await sample(at: .seconds(3)).vms?.map(\.cpuCores) == [0.333333])
    }

    @Test mutating func `a counter that went back gives no rate, not a zero`() async throws {
        world.setCPUTime(5_000_000_000, of: vm)
        _ = await sample(at: .zero)
        try tree.writeStat(user: 10, idle: 50)
        try tree.writeTraffic(received: 1, sent: 900_000)
        world.setCPUTime(1_000_000, of: vm)
        let second = await sample(at: .seconds(1))
        #expect(second.cpu == nil)
        #expect(second.network == nil)
        #expect(second.vms?.map(\.cpuCores) == [nil])
    }

    @Test mutating func `two samples of the same time give no rates`() async {
        _ = await sample(at: .seconds(1))
        let second = await sample(at: .seconds(1))
        #expect(second.intervalSeconds == nil)
        #expect(second.cpu == nil)
    }

    @Test(arguments: [
        ("stat", "cpu"), ("meminfo", "memory"), ("loadavg", "load average"), ("net/dev", "network"),
    ])
    func `a missing file costs only its own figure and is named`(file: String, source: String) async throws {
        var copy = self
        _ = await copy.sample(at: .zero)
        try tree.remove(file)
        let sample = await copy.sample(at: .seconds(1))
        #expect((sample.cpu == nil) == (file == "stat"))
        #expect((sample.memory == nil) == (file == "meminfo"))
        #expect((sample.loadAverage == nil) == (file == "loadavg"))
        #expect((sample.network == nil) == (file == "net/dev"))
        let reason = "cannot open \(tree.path)/\(file): No such file or directory"
        #expect(sample.failures == [SourceFailure(source: source, reason: reason)])
    }

    @Test mutating func `a figure that was missing has no rate when it comes back`() async throws {
        try tree.remove("stat")
        _ = await sample(at: .zero)
        try tree.writeStat(user: 2000, idle: 1)
        let back = await sample(at: .seconds(1))
        #expect(back.cpu == nil)
        #expect(back.failures.isEmpty)
        try tree.writeStat(user: 2100, idle: 1)
        #expect(await sample(at: .seconds(2)).cpu?.busyCores == 1)
    }

    @Test mutating func `a sample contains the digest of a VM's definition`() async {
        var needs = VMRequirements.testVM()
        needs.definition = "0a1b"
        world.place(needs, on: h1)
        #expect(await sample(at: .zero).vms?.map(\.definition) == ["0a1b"])
    }

    @Test mutating func `without an answer from the hypervisor the VMs are unknown, not none`() async {
        _ = await sample(at: .zero)
        world.change(h1) { $0.answers = false }
        let sample = await sample(at: .seconds(1))
        #expect(sample.vms == nil)
        #expect(sample.hypervisor == nil)
        #expect(sample.cpu != nil)
        #expect(sample.failures.map(\.source) == ["hypervisor"])
        #expect(sample.failures.first?.reason.contains("h1 does not answer") == true)
    }

    @Test mutating func `a VM that has just come has no CPU figure until the next sample`() async {
        _ = await sample(at: .zero)
        world.place(.testVM(VMID("new"), name: "new"), on: h1)
        let arrived = await sample(at: .seconds(1)).vms?.first { $0.name == "new" }
        #expect(arrived != nil)
        #expect(arrived?.cpuCores == nil)
        let settled = await sample(at: .seconds(2)).vms?.first { $0.name == "new" }
        #expect(settled?.cpuCores == 0)
    }
}
