// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS
import Hypervisor
import Synchronization
import Testing

@testable import LibvirtDriver

/// Calls that hang, next to calls to libvirt's test driver.
@Suite(.timeLimit(.minutes(1))) struct BlockingCallsTests {
    private var hypervisor: LibvirtHypervisor {
        var limits = LibvirtHypervisor.Limits()
        limits.call = .seconds(5)
        return LibvirtHypervisor(uri: "test:///default", limits: limits)
    }

    /// Fills the slots of one kind with calls that hang until the gate opens.
    private func hang(_ calls: BlockingCalls, until gate: Gate) async {
        let calls = BlockingCalls(connector: calls.connector, limit: .seconds(2), slots: calls.slots)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<calls.slots.count {
                group.addTask {
                    let error = await #expect(throws: HypervisorError.self) {
                        try await calls.run("hang") { _ in gate.pass() }
                    }
                    #expect(error?.kind == .timedOut)
                }
            }
        }
    }

    @Test func `changes that hang stop other changes, but neither samples nor reading`() async throws {
        let hypervisor = hypervisor
        let gate = Gate()
        defer { gate.open() }
        await hang(hypervisor.changing, until: gate)
        let vm = try #require(try await hypervisor.domains().first).id
        #expect(try await hypervisor.presence(of: vm) == .running)
        let error = await #expect(throws: HypervisorError.self) { try await hypervisor.suspend(vm) }
        #expect(error?.kind == .notConnected)
        #expect(error?.detail.contains("earlier calls have not returned") == true)
    }

    @Test func `reading that hangs does not stop samples, and samples that hang do not stop reading`() async throws {
        let gate = Gate()
        defer { gate.open() }
        var hypervisor = hypervisor
        await hang(hypervisor.reading, until: gate)
        let vm = try #require(try await hypervisor.domains().first).id
        hypervisor = self.hypervisor
        await hang(hypervisor.sampling, until: gate)
        #expect(try await hypervisor.presence(of: vm) == .running)
    }

    @Test func `a target that hangs has one call, and stops neither other targets nor this host`() async throws {
        let hypervisor = hypervisor
        let gate = Gate()
        defer { gate.open() }
        let begun = Mutex(0)
        for _ in 1...3 {
            let answer = hypervisor.peers.run(at: "qemu+tls://h2/system", within: .milliseconds(50)) {
                begun.withLock { $0 += 1 }
                gate.pass()
            }
            #expect(answer == nil)
        }
        #expect(begun.withLock { $0 } == 1)
        #expect(try hypervisor.peers.run(at: "qemu+tls://h3/system", within: .seconds(20)) { 7 }?.get() == 7)
        #expect(try await hypervisor.domains().count == 1)
    }

    /// A host that has lost its power never answers, and libvirt has no time limit for opening a connection.
    @Test func `a call to a target that never returns is given up, a bounded number of times`() throws {
        let peers = PeerCalls(patience: .milliseconds(10))
        let gate = Gate()
        defer { gate.open() }
        let begun = Mutex(0)
        for _ in 1...20 {
            let answer = peers.run(at: "h2", within: .milliseconds(50)) {
                begun.withLock { $0 += 1 }
                gate.pass()
            }
            #expect(answer == nil)
        }
        #expect(begun.withLock { $0 } == 9)
    }

    @Test func `calls of each kind have a connection of their own`() {
        let hypervisor = LibvirtHypervisor(uri: "qemu:///system")
        let connectors = [hypervisor.sampling, hypervisor.reading, hypervisor.checking, hypervisor.changing].map(
            \.connector
        )
        #expect(Set(connectors.map(ObjectIdentifier.init)).count == 4)
    }

    @Test func `a call to a target waits for an earlier one that returns in time`() throws {
        let peers = PeerCalls()
        let gate = Gate()
        #expect(peers.run(at: "h2", within: .milliseconds(50)) { gate.pass() } == nil)
        gate.open()
        #expect(try peers.run(at: "h2", within: .seconds(20)) { 7 }?.get() == 7)
    }
}
