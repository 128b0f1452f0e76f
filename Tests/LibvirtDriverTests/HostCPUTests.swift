// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import HostOS
import Hypervisor
import LibvirtDriver
import TestSupport
import Testing

private let canRunQEMUDriver: Bool = {
    let driver = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"
    return geteuid() == 0 && FileManager.default.fileExists(atPath: driver)
}()

/// The comparison of two hosts' CPUs by libvirt's QEMU driver, inside this process.
@Suite(
    .timeLimit(.minutes(2)),
    .enabled(if: canRunQEMUDriver, "libvirt's QEMU driver needs root and the package libvirt-daemon-driver-qemu")
)
struct HostCPUTests {
    @Test func `a VM that sees its host's CPU moves only to exactly the same one`() async throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "evenkeel-embed-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        let hypervisor = LibvirtHypervisor(uri: "qemu:///embed?root=\(root)")
        let facts = try await hypervisor.facts()
        let own = try await ownCPU(root)
        let feature = try #require(own.firstMatch(of: #/<feature name='[^']*'\/>/#)).output
        let cases: [(String?, [String])] = [
            (own, []),
            // The source has one feature less, or one more; an older agent states nothing.
            (own.replacing(feature, with: "", maxReplacements: 1), ["host-cpu-differs"]),
            (own.replacing("</cpu>", with: "<feature name='amx-tile'/></cpu>"), ["host-cpu-differs"]),
            (nil, ["cpu-model-unknown"]),
        ]
        for (cpu, codes) in cases {
            var needs = VMRequirements.onTestDriver(id: "aaaaaaaa-0000-4000-8000-00000000000c", name: "web9")
            (needs.hypervisor, needs.domainType, needs.machine) = (facts, "qemu", "pc")
            (needs.cpuXML, needs.hostCPU) = ("<cpu mode='host-passthrough'/>", cpu)
            let found = try await hypervisor.unmet(needs, on: HostName("h2"))
            #expect(found.map(\.reason.code) == codes, "\(found)")
        }
    }

    /// Returns the `<cpu>` element of this machine's capabilities, as virsh prints it.
    private func ownCPU(_ root: String) async throws -> String {
        let capabilities = try await Command(
            "virsh",
            ["-c", "qemu:///embed?root=\(root)-virsh", "capabilities"],
            timeLimit: .seconds(60)
        ).run()
        try? FileManager.default.removeItem(atPath: "\(root)-virsh")
        let cpu = try #require(capabilities.firstMatch(of: #/(?s)<cpu>.*?<\/cpu>/#))
        return String(cpu.output)
    }
}
