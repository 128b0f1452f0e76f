// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import LibvirtDriver
import TestSupport
import Testing

/// Uses libvirt's own test driver: one running domain without a daemon, which cannot migrate.
///
/// Its state belongs to the process, so the suite changes nothing in it.
@Suite(.timeLimit(.minutes(2))) struct LibvirtTestDriverTests {
    private let hypervisor = LibvirtHypervisor(uri: "test:///default")
    private let absent = VMID("00000000-0000-4000-8000-000000000000")

    private func test() async throws -> DomainStatus {
        try #require(try await hypervisor.domains().first { $0.name == "test" })
    }

    @Test func `the facts name the driver and both versions`() async throws {
        let facts = try await hypervisor.facts()
        #expect(facts.type == "test")
        #expect(facts.version > 0)
        #expect(facts.libvirtVersion >= 9_000_000)
    }

    @Test func `domains have a state and figures`() async throws {
        let test = try await test()
        #expect(test.id.rawValue.count == 36)
        #expect(test.id.rawValue == test.id.rawValue.lowercased())
        #expect(test.state == .running)
        #expect(test.cpuTimeNanoseconds != nil)
        #expect(test.vcpus ?? 0 > 0)
        #expect(test.memoryBytes ?? 0 > 0)
    }

    @Test func `a running VM is present, and an unknown one is absent`() async throws {
        #expect(try await hypervisor.presence(of: test().id) == .running)
        #expect(try await hypervisor.presence(of: absent) == .absent)
    }

    @Test func `a VM that is defined but off is inactive`() async throws {
        let node = try await TestNode(state: 5)
        #expect(try await node.hypervisor.presence(of: node.vm) == .inactive)
        #expect(try await node.hypervisor.domains().map(\.state) == [.shutOff])
    }

    @Test func `requirements are read from the live definition`() async throws {
        let needs = try await hypervisor.requirements(of: test().id)
        #expect(needs.name == "test")
        #expect(needs.domainType == "test")
        #expect(needs.memoryBytes > 0)
    }

    @Test func `a VM with snapshots cannot move`() async throws {
        let snapshot = """
            <testdriver:domainsnapshot><name>before-upgrade</name><state>running</state>
            <creationTime>1790000000</creationTime><active>1</active></testdriver:domainsnapshot>
            """
        let node = try await TestNode(state: 1, more: snapshot)
        #expect(try await node.hypervisor.migrationBlockers(of: node.vm) == [.snapshots(1)])
    }

    @Test func `a VM of a host's own device and network cannot move, and its requirements are still read`() async throws
    {
        let devices = """
            <devices>
              <disk type='file' device='disk'><source file='/x'/><target dev='vda' bus='virtio'/></disk>
              <interface type='network'><source network='inside'/></interface>
              <hostdev mode='subsystem' type='pci' managed='yes'>
                <source><address domain='0' bus='1' slot='0' function='0'/></source>
              </hostdev>
            </devices>
            """
        let network = """
            <network><name>inside</name><uuid>bbbbbbbb-0000-4000-8000-00000000000a</uuid><forward mode='nat'/>
            <bridge name='virbr7'/><ip address='192.168.122.1' netmask='255.255.255.0'/></network>
            """
        let node = try await TestNode(state: 1, more: devices, networks: network)
        // The driver has no block jobs, which is no reason to fail.
        let blockers = try await node.hypervisor.migrationBlockers(of: node.vm)
        #expect(blockers == [.hostDevice("pci"), .networkIsLocal("inside", mode: "nat")])
        #expect(try await node.hypervisor.requirements(of: node.vm).networks == [.network(name: "inside")])
    }

    @Test func `a VM without special features can move, and an unknown one is an error`() async throws {
        let node = try await TestNode(state: 1)
        #expect(try await node.hypervisor.migrationBlockers(of: node.vm) == [])
        let error = await #expect(throws: HypervisorError.self) { try await hypervisor.migrationBlockers(of: absent) }
        #expect(error?.kind == .noSuchVM)
    }

    @Test func `an error about an unknown VM names it and has libvirt's numbers`() async throws {
        let error = await #expect(throws: HypervisorError.self) { try await hypervisor.requirements(of: absent) }
        #expect(error?.kind == .noSuchVM)
        #expect(error?.attempt.contains(absent.rawValue) == true)
        // VIR_ERR_NO_DOMAIN
        #expect(error?.detail.contains("libvirt error 42") == true)
    }

    @Test func `a VM that is active on the target is a clash`() async throws {
        let needs = try await hypervisor.requirements(of: test().id)
        let found = try await hypervisor.unmet(needs, on: HostName("t"))
        #expect(found.contains { $0.check == .uuid && $0.text.contains("already active") })
    }

    @Test func `a definition of the VM on the target is a clash with a next step`() async throws {
        let node = try await TestNode(state: 5)
        let needs = VMRequirements.onTestDriver(id: node.vm.rawValue, name: "web1")
        let found = try await node.hypervisor.unmet(needs, on: HostName("t")).filter { $0.check == .uuid }
        #expect(found.count == 1)
        #expect(found.first?.text.contains("virsh undefine --keep-nvram --keep-tpm \(node.vm)") == true)
    }

    @Test func `another VM with the name is a clash`() async throws {
        var needs = try await hypervisor.requirements(of: test().id)
        needs.id = absent
        let found = try await hypervisor.unmet(needs, on: HostName("t"))
        #expect(found.contains { $0.check == .name })
        #expect(!found.contains { $0.check == .uuid })
    }

    @Test func `a missing network is reported, and one that ends at its host`() async throws {
        var needs = try await hypervisor.requirements(of: test().id)
        needs.networks = [.network(name: "default"), .network(name: "nowhere"), .bridge(name: "br0")]
        let found = try await hypervisor.unmet(needs, on: HostName("t")).filter { $0.check == .network }
        #expect(found.map(\.reason.code) == ["network-local", "network-missing"])
        #expect(found.last?.text.contains("nowhere") == true)
    }

    @Test func `an older or different hypervisor is unmet`() async throws {
        var needs = try await hypervisor.requirements(of: test().id)
        needs.hypervisor.version += 1
        #expect(try await hypervisor.unmet(needs, on: HostName("t")).contains { $0.check == .version })
        needs.hypervisor.type = "xen"
        #expect(try await hypervisor.unmet(needs, on: HostName("t")).map(\.check) == [.hypervisor])
    }

    @Test func `a running VM is neither resumed nor discarded`() async throws {
        let id = try await test().id
        let resumed = await #expect(throws: HypervisorError.self) { try await hypervisor.resume(id) }
        let discarded = await #expect(throws: HypervisorError.self) { try await hypervisor.discardHandedOver(id) }
        let cancelled = await #expect(throws: HypervisorError.self) { try await hypervisor.cancelMigration(of: id) }
        #expect([resumed?.kind, discarded?.kind, cancelled?.kind] == [.refused, .refused, .refused])
        #expect(try await hypervisor.presence(of: id) == .running)
    }

    @Test func `a target that does not answer stops the move before it begins`() async throws {
        var request = MigrationRequest.sample(try await test().id)
        request.peerURI = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"
        let error = await #expect(throws: HypervisorError.self) { try await hypervisor.migrate(request) { _ in } }
        #expect(error?.kind == .refused)
        #expect(error?.detail.contains("nothing was touched") == true)
    }

    @Test func `a VM has its definition's digest, whether it is active or off`() async throws {
        let test = try await test()
        let needs = try await hypervisor.requirements(of: test.id)
        #expect(test.definition?.count == 64 && test.definition == needs.definition)
        let node = try await TestNode(state: 5)
        let off = try await node.hypervisor.offlineRequirements(of: node.vm).requirements
        #expect(off.id == node.vm && off.definition?.count == 64)
        #expect(try await node.hypervisor.domains().map(\.definition) == [off.definition])
    }

    @Test func `a VM that runs has no offline requirements, and is not moved offline`() async throws {
        let id = try await test().id
        let error = await #expect(throws: HypervisorError.self) { try await hypervisor.offlineRequirements(of: id) }
        #expect(error?.kind == .refused && error?.detail.contains("not off") == true)
        var request = MigrationRequest.sample(id)
        (request.isOffline, request.peerURI) = (true, "test:///default")
        let refused = await #expect(throws: HypervisorError.self) { try await hypervisor.migrate(request) { _ in } }
        #expect(refused?.kind == .refused && refused?.detail.contains("not off") == true)
    }

    @Test func `a hypervisor that does not answer is not connected`() async {
        let nobody = LibvirtHypervisor(uri: "qemu+unix:///system?socket=/nonexistent/libvirt-sock")
        let error = await #expect(throws: HypervisorError.self) { try await nobody.domains() }
        #expect(error?.kind == .notConnected)
        #expect(error?.detail.contains("/nonexistent/libvirt-sock") == true)
    }

    @Test func `many concurrent calls all return`() async throws {
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<40 { group.addTask { try await hypervisor.domains().count } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counts == Array(repeating: 1, count: 40))
    }
}
