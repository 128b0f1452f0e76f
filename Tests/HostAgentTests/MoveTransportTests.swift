// SPDX-License-Identifier: Apache-2.0
import Hypervisor
import Testing

@testable import Escort
@testable import HostAgent

/// The transport that the hypervisor uses for a VM's memory.
struct MoveTransportTests {
    private func transport(_ route: MigrationRoute, memory: UInt64) -> Transport {
        MoveExecution.transport(by: route, memoryBytes: memory)
    }

    @Test(arguments: [(1 << 30, nil), (24_000_000_000, nil), (24_000_000_001, 4), (1 << 40, 4)] as [(UInt64, Int?)])
    func `one connection under TLS carries no more than QEMU tolerates on one`(memory: UInt64, connections: Int?) {
        let route = MigrationRoute(kind: .direct(address: "192.0.2.2"), tlsName: "h2")
        let tls = TLSParameters(targetName: "h2")
        #expect(transport(route, memory: memory) == .direct(tls: tls, parallelConnections: connections))
    }

    @Test func `without TLS one connection carries everything`() {
        let route = MigrationRoute(kind: .direct(address: "192.0.2.2"))
        #expect(transport(route, memory: 1 << 40) == .direct(tls: nil, parallelConnections: nil))
        #expect(transport(MigrationRoute(kind: .tunnelled), memory: 1 << 40) == .tunnelled)
    }
}
