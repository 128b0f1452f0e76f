// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Lab
import Testing

/// Brings a real lab up, at a separate site so that it disturbs no other.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("LabUpDownTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct LabUpDownTests {
    private static let site = LabSite(name: "evenkeel-labtest", shortName: "eklt")

    @Test(.timeLimit(.minutes(6)))
    func `a lab comes up, works and leaves nothing behind`() async throws {
        try await HostLab.down(site: Self.site)
        do {
            let lab = try await HostLab.up(.allOnFirst(hosts: 2, guests: 1), site: Self.site) { print("lab: \($0)") }
            try await check(lab)
        } catch {
            try await HostLab.down(site: Self.site)
            throw error
        }
        try await HostLab.down(site: Self.site)
        #expect(try HostLab.leftovers(site: Self.site).isEmpty)
        #expect(throws: LabError.self) { _ = try HostLab.attach(to: Self.site) }
    }

    @Test(.timeLimit(.minutes(3)))
    func `a lab whose creation is cancelled leaves nothing behind`() async throws {
        let site = LabSite(name: "evenkeel-labtest2", shortName: "ektt")
        let stages = AsyncStream.makeStream(of: String.self)
        await withTaskGroup { group in
            group.addTask {
                await #expect(throws: (any Error).self) {
                    _ = try await HostLab.up(.allOnFirst(hosts: 2, guests: 1), site: site) {
                        _ = stages.continuation.yield($0)
                    }
                }
            }
            for await stage in stages.stream where stage == "2 hosts" { break }
            group.cancelAll()
        }
        #expect(try HostLab.leftovers(site: site).isEmpty)
    }

    private func check(_ lab: HostLab) async throws {
        let guest = try lab.guest("vm1")
        #expect(try await lab.runsOn(guest) == [HostName("h1")])
        #expect(try lab.console(of: guest).readings.last?.memoryProblem == nil)
        #expect(try await lab.disk(of: guest).problems.isEmpty)

        await #expect(throws: LabError.self, "a second lab at the site is refused") {
            _ = try await HostLab.up(.allOnFirst(hosts: 1, guests: 0), site: Self.site)
        }

        let second = try HostLab.attach(to: Self.site).host(HostName("h2"))
        #expect(try await second.run(Command("hostname")).hasPrefix("h2"))
        // The guest answers across the LAN, and a capture of the LAN's bridge sees it.
        let path = "\(lab.site.stateFolder)/test.pcap"
        let capture = try await lab.capture(to: path)
        try await second.run(Command("busybox", ["ping", "-c", "2", "-w", "20", guest.address]))
        #expect(try await capture.stop() == 0)
        var echoes = 0
        try PacketCapture(path: path).forEach { packet in
            if packet.summary.contains("\(guest.address)  ICMP") { echoes += 1 }
            return true
        }
        #expect(echoes >= 2)
        // Without a tunnel there is no path to an inner address: nothing could leak.
        let inner = try lab.host(HostName("h1")).innerAddress
        let reached = try await second.inside(Command("busybox", ["ping", "-c", "1", "-w", "2", inner])).result()
        #expect(!reached.succeeded)

        try await second.killLibvirtd()
        #expect(second.processes(of: "libvirtd").isEmpty)
        try await second.startLibvirtd()
        try await second.killCharon()
        try await second.startCharon()
        #expect(second.processes(of: "charon").count == 1)

        // Any program can replace the agent; this one keeps running.
        try await second.startAgent(binary: "/usr/bin/tail", configuration: "# none\n", arguments: ["-f"])
        #expect(second.processes(of: "agent").count == 1)
        try await second.killAgent()
        #expect(second.processes(of: "agent").isEmpty)
        #expect(try lab.host(HostName("h1")).machineProcesses.count == 1)
    }
}
