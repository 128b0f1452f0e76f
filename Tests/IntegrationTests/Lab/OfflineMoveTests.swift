// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import HostOS
import Lab
import Testing

/// Moves of VMs that are off, between real libvirt daemons; all in one lab, as labs take minutes.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("OfflineMoveTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct OfflineMoveTests {
    private static let plan = LabPlan(
        hosts: [1, 2].map { HostPlan(number: $0, cores: 0.9) },
        guests: [GuestPlan(number: 1, host: HostName("h1"))]
    )
    /// A second definition with vm1's devices, which never runs.
    private static let (name, uuid) = ("off1", "0ff00000-0000-4000-8000-000000000001")

    @Test(.timeLimit(.minutes(10)))
    func `a VM that is off moves with its definition and autostart, and only while it is off`() async throws {
        try await TestLab.with(Self.plan) { world in
            try await world.lab.waitForSamples()
            let (h1, h2) = (try world.host("h1"), try world.host("h2"))
            try await define(world, on: h1)
            try await h1.virsh(["autostart", Self.name])
            let before = try await definition(on: h1)

            // A second definition at the target is not replaced. After a move, its agent would remove it as a leftover.
            try await define(world, on: h2)
            #expect(try await refusal(world, to: "h2").contains("is off on h1 and h2"))
            try await h2.virsh(["undefine", Self.name])
            try await waitForSample(world, on: "h2", shows: false)

            // Every channel that carries a definition.
            try await expectMove(world, to: "h2", over: .ipsec)
            #expect(try await definition(on: h2) == before)
            try await world.poll("it starts with h2", within: .seconds(30)) {
                try await h2.virsh(["list", "--all", "--autostart", "--name"]).contains(Self.name)
            }
            try await expectMove(world, to: "h1", over: .ssh)
            try await expectMove(world, to: "h2", over: .tls)
            try await expectMove(world, to: "h1", over: .ipsecTLS)
            #expect(try await definition(on: h1) == before)

            // State of the host does not move.
            let folder = "<filesystem><source dir='/tmp'/><target dir='tag'/></filesystem></devices>"
            try await define(world, on: h1, adding: folder)
            #expect(try await refusal(world, to: "h2").contains("shares the folder 'tag'"))

            let verify = ["verify", "--config", world.lab.configurationFile]
            let verified = try await Command(world.programs.evenkeel, verify, timeLimit: .seconds(30)).result()
            print("\(verified.standardOutput)\(verified.standardError)")
            // The running VM was not touched, and is checked after this.
            try await world.expect("vm1", on: "h1")
        }
    }

    /// Defines the VM that is off, and waits until its host's samples show it.
    private func define(_ world: TestLab, on host: LabHost, adding devices: String = "</devices>") async throws {
        let source = try world.host("h1")
        var xml = try await source.virsh(["dumpxml", "--inactive", "vm1"])
        xml = xml.replacing("<name>vm1</name>", with: "<name>\(Self.name)</name>")
        xml = xml.replacing(try world.guest("vm1").uuid.rawValue, with: Self.uuid)
        xml = xml.replacing("</devices>", with: devices)
        let path = "\(world.lab.site.stateFolder)/\(Self.name).xml"
        try xml.write(toFile: path, atomically: true, encoding: .utf8)
        try await host.virsh(["define", path])
        try await waitForSample(world, on: host.name.rawValue, shows: true)
    }

    private func waitForSample(_ world: TestLab, on host: String, shows: Bool) async throws {
        try await world.poll("a sample of \(host)", within: .seconds(60)) {
            let newest = try await world.lab.records(LoadSample.self).last { $0.host == HostName(host) }
            let known = newest?.vms?.first { $0.id == VMID(Self.uuid) }
            return shows ? known?.definition != nil : newest?.vms != nil && known == nil
        }
    }

    private func definition(on host: LabHost) async throws -> String {
        try await host.virsh(["dumpxml", "--inactive", "--security-info", Self.name])
    }

    private func migrate(_ world: TestLab, to target: String, over channel: Channel) async throws -> CommandResult {
        let arguments = [
            "migrate", Self.name, target, "--offline", "--channel", channel.rawValue, "--config",
            world.lab.configurationFile,
        ]
        return try await Command(world.programs.evenkeel, arguments, timeLimit: .seconds(120)).result()
    }

    private func expectMove(_ world: TestLab, to target: String, over channel: Channel) async throws {
        let result = try await migrate(world, to: target, over: channel)
        print("\(channel.rawValue): \(result.standardOutput)\(result.standardError)")
        #expect(result.succeeded, "\(channel.rawValue): \(result.standardError)")
        for host in world.lab.hosts {
            let defined = try await host.virsh(["list", "--all", "--persistent", "--name"]).contains(Self.name)
            #expect(defined == (host.name.rawValue == target), "\(channel.rawValue): \(host.name)")
            #expect(try await !host.virsh(["list", "--name"]).contains(Self.name), "it stays off")
        }
        for host in ["h1", "h2"] { try await waitForSample(world, on: host, shows: host == target) }
    }

    private func refusal(_ world: TestLab, to target: String) async throws -> String {
        let result = try await migrate(world, to: target, over: .ipsec)
        #expect(!result.succeeded)
        return result.standardError
    }
}
