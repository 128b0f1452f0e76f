// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import LibvirtDriver
import Testing

/// The definitions that an agent stores outside its host.
@Suite(.timeLimit(.minutes(2))) struct StoredDefinitionTests {
    @Test(arguments: [1, 5]) func `a definition is complete but for its passwords, running or not`(
        state: Int
    ) async throws {
        let console = "<devices><graphics type='vnc' passwd='sesame'/></devices>"
        let node = try await TestNode(state: state, more: console)
        let definitions = try await node.hypervisor.definitions().definitions
        #expect(definitions.map(\.id) == [node.vm] && definitions.map(\.name) == ["web1"])
        let definition = try #require(definitions.first)
        #expect(definition.xml.contains("<uuid>\(node.vm)</uuid>") && definition.xml.contains("<graphics type='vnc'"))
        #expect(!definition.xml.contains("sesame") && !definition.xml.contains("passwd"))
        #expect(!definition.xml.contains("id='"), "it is the inactive definition")
        #expect(definition.digest?.count == 64 && !definition.startsWithHost)
    }

    @Test func `whether a VM starts with its host belongs to its definition`() async throws {
        let node = try await TestNode(state: 1)
        try await node.hypervisor.setAutostart(of: node.vm, to: true)
        #expect(try await node.hypervisor.definitions().definitions.map(\.startsWithHost) == [true])
        try await node.hypervisor.setAutostart(of: node.vm, to: false)
        #expect(try await node.hypervisor.definitions().definitions.map(\.startsWithHost) == [false])
    }

    @Test(arguments: [1, 5]) func `a VM with a definition is persistent, running or not`(state: Int) async throws {
        let node = try await TestNode(state: state)
        #expect(try await node.hypervisor.isPersistent(node.vm))
        let absent = VMID("bbbbbbbb-0000-4000-8000-00000000000b")
        let error = await #expect(throws: HypervisorError.self) { try await node.hypervisor.isPersistent(absent) }
        #expect(error?.kind == .noSuchVM)
    }

    @Test func `a hypervisor that does not answer has no definitions, not an empty list`() async {
        let nobody = LibvirtHypervisor(uri: "qemu+unix:///system?socket=/nonexistent/libvirt-sock")
        let error = await #expect(throws: HypervisorError.self) { try await nobody.definitions() }
        #expect(error?.kind == .notConnected)
    }
}
