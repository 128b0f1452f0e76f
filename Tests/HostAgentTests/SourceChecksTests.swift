// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import HostOS
import Hypervisor
import TestSupport
import Testing

@testable import HostAgent

/// The checks of a source that need no target.
@Suite struct SourceChecksTests {
    private let tree: FixtureTree
    private let world = InMemoryWorld.sample()
    private var checks: SourceChecks

    /// The kernel's table with one listening socket on this port, in hexadecimal.
    private static func listening(on port: String, state: String = "0A") -> String {
        """
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 00000000:\(port) 00000000:0000 \(state) 00000000:00000000 00:00000000 00000000     0        0 1

        """
    }

    init() throws {
        tree = try FixtureTree()
        try tree.write(Self.listening(on: "0016"), to: "net/tcp")
        try tree.write("a disk", to: "iso/a.iso")
        checks = SourceChecks(host: h1, hypervisor: world.hypervisor(of: h1), sys: tree.path, proc: tree.path)
    }

    private var iso: String { "\(tree.path)/iso/a.iso" }

    private func codes(_ needs: VMRequirements) async throws -> [String] {
        world.place(needs, on: h1)
        let answer = try await checks.read(needs.id)
        #expect(answer.failures.allSatisfy { $0.host == h1 })
        return answer.failures.map(\.reason.code)
    }

    @Test func `an ordinary VM can move`() async throws {
        let needs = VMRequirements.testVM(networks: [.bridge(name: "br0"), .network(name: "lan")])
        #expect(try await codes(needs) == [])
        #expect(try await checks.read(vm).requirements.networks == needs.networks)
    }

    @Test mutating func `a medium in a file on local storage ties the VM, and one on shared storage does not`()
        async throws
    {
        let needs = VMRequirements.testVM(
            disks: [.file(path: iso)],
            files: [DiskFile(path: iso, isReadOnly: true)]
        )
        let type = try ObservedFile(at: iso).fileSystem
        checks.sharedTypes = []
        #expect(try await codes(needs) == ["local-file"])
        #expect(try await checks.read(vm).failures.first?.reason == .host(.localFile(iso, fileSystem: type)))
        checks.sharedTypes = [type]
        #expect(try await codes(needs) == [])
    }

    @Test(arguments: ["0801", "01BD"])
    func `the files of a file server may be shared by its clients`(port: String) async throws {
        var checks = checks
        checks.sharedTypes = []
        world.place(.testVM(files: [DiskFile(path: iso, isReadOnly: false)]), on: h1)
        try tree.write(Self.listening(on: port, state: "01"), to: "net/tcp6")
        #expect(try await checks.read(vm).failures.count == 1, "it is a client's connection")
        try tree.write(Self.listening(on: port), to: "net/tcp6")
        #expect(try await checks.read(vm).failures.isEmpty)
    }

    @Test mutating func `a file that cannot be found is left to the checks of the order`() async throws {
        checks.sharedTypes = []
        #expect(try await codes(.testVM(files: [DiskFile(path: "/nowhere/a", isReadOnly: false)])) == [])
    }

    @Test func `disks and interfaces that every target refuses tie the VM`() async throws {
        let needs = VMRequirements.testVM(
            disks: [.other(type: "volume", detail: "pool p"), .block(path: "\(tree.path)/nothing", identity: nil)],
            networks: [.other(type: "user")]
        )
        let expected = ["disk-not-checkable", "device-without-identity", "interface-not-checkable"]
        #expect(try await codes(needs) == expected)
    }

    @Test mutating func `a network that ends at its host ties the VM, unless it is the same on all hosts`() async throws
    {
        world.place(.testVM(), on: h1)
        world.change(h1) { $0.blockers[vm] = [.networkIsLocal("default", mode: "nat"), .snapshots(1)] }
        #expect(try await checks.read(vm).failures.map(\.reason.code) == ["network-local", "snapshots"])
        #expect(try await checks.read(vm).failures.map(\.check) == [.network, .state])
        checks.stretchedNetworks = ["default"]
        #expect(try await checks.read(vm).failures.map(\.reason.code) == ["snapshots"])
    }
}

/// What samples say about VMs that cannot move.
@Suite struct MovabilityTests {
    private let world = InMemoryWorld.sample()
    private let movability: Movability

    init() {
        let checks = SourceChecks(host: h1, hypervisor: world.hypervisor(of: h1))
        movability = Movability(checks, logger: LogCapture().logger("h1"))
        world.place(.testVM(), on: h1)
    }

    /// Returns the reasons in a sample of h1.
    private func stated(definition: String = "0a1b", state: VMState = .running) -> [PreflightFailure.Reason]? {
        let sampled = VMSample(id: vm, name: "web1", state: state, definition: definition)
        var sample = LoadSample(host: h1, at: .now, vms: [sampled])
        movability.complete(&sample)
        return sample.vms?.first?.cannotMove?.reasons
    }

    private func bind(_ blockers: [PreflightFailure.HypervisorReason]) {
        world.change(h1) { $0.blockers[vm] = blockers }
    }

    @Test func `a VM is checked when it appears, and again when its definition changes`() async {
        bind([.snapshots(1)])
        #expect(stated() == nil, "a sample does not wait for the check")
        await movability.checkDue()
        #expect(stated() == [.hypervisor(.snapshots(1))])
        bind([])
        await movability.checkDue()
        #expect(stated() == [.hypervisor(.snapshots(1))], "the next check is due after a minute")
        #expect(stated(definition: "2c3d") == [.hypervisor(.snapshots(1))])
        await movability.checkDue()
        #expect(stated(definition: "2c3d") == nil)
    }

    @Test func `a refused move leads to a check at once`() async {
        _ = stated()
        await movability.checkDue()
        bind([.blockJob(disk: "vda")])
        movability.recheck(vm)
        await movability.checkDue()
        #expect(stated() == [.hypervisor(.blockJob(disk: "vda"))])
    }

    @Test func `a failed check leaves the last answer`() async {
        bind([.snapshots(1)])
        _ = stated()
        await movability.checkDue()
        world.change(h1) { $0.answers = false }
        movability.recheck(vm)
        await movability.checkDue()
        #expect(stated() == [.hypervisor(.snapshots(1))])
    }

    @Test func `a VM that does not run is not checked, and one that has left is forgotten`() async {
        bind([.snapshots(1)])
        #expect(stated(state: .paused) == nil)
        await movability.checkDue()
        #expect(stated() == nil, "it is noted only now")
        await movability.checkDue()
        var empty = LoadSample(host: h1, at: .now, vms: [])
        movability.complete(&empty)
        #expect(stated() == nil)
    }

    @Test func `nothing is checked while the hypervisor does not answer`() async {
        bind([.snapshots(1)])
        _ = stated()
        var silent = LoadSample(host: h1, at: .now)
        movability.complete(&silent)
        await movability.checkDue()
        #expect(stated() == nil, "each check could hang as the sample did")
        await movability.checkDue()
        #expect(stated() == [.hypervisor(.snapshots(1))])
    }
}
