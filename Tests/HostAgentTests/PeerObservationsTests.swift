// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import Logging
import Synchronization
import TestSupport
import Testing

@testable import HostAgent

/// The choice of peers to ask, and the observations in a sample.
@Suite struct PeerObservationsTests {
    private func world(of count: Int, clock: @Sendable @escaping () -> Instant) -> (InMemoryWorld, Inventory) {
        let hosts = (1...count).map {
            InMemoryHost(
                name: HostName("h\($0)"),
                uri: "mem://h\($0)",
                memoryBytes: 1 << 34,
                facts: HypervisorFacts(type: "test", version: 1, libvirtVersion: 1, architecture: "x", cpuModel: nil)
            )
        }
        let inventory = Inventory(
            hosts: hosts.map {
                InventoryHost(name: $0.name, address: "192.0.2.1", innerAddress: "192.0.2.2", libvirtURI: $0.uri)
            }
        )
        return (InMemoryWorld(hosts: hosts, now: clock), inventory)
    }

    private func observations(_ world: InMemoryWorld, _ inventory: Inventory) -> PeerObservations {
        let me = HostName("h1")
        return PeerObservations(
            for: me,
            hypervisor: world.hypervisor(of: me),
            logger: Logger(label: "test")
        ) { inventory }
    }

    @Test func `each peer's newest observation is kept for five minutes, and eight go into a sample`() async {
        let ticks = Mutex(Int64(0))
        let (world, inventory) = world(of: 11) {
            Instant(
                milliseconds: ticks.withLock { tick in
                    tick += 1000
                    return tick
                }
            )
        }
        let observations = observations(world, inventory)
        #expect(observations.recent(at: Instant(milliseconds: 0)) == nil)
        for _ in 0..<10 { await observations.askNext() }
        let seen = observations.recent(at: Instant(milliseconds: 10_000))
        // Not itself, and the last one asked first.
        #expect(seen?.map(\.host.rawValue) == ["h11", "h10", "h9", "h8", "h7", "h6", "h5", "h4"])
        #expect(observations.recent(at: Instant(milliseconds: 309_500))?.map(\.host.rawValue) == ["h11"])
        #expect(observations.recent(at: Instant(milliseconds: 310_001)) == nil)
        // The first peer again, with a newer observation.
        await observations.askNext()
        #expect(observations.recent(at: Instant(milliseconds: 11_000))?.first?.host == HostName("h2"))
    }

    @Test func `a peer that does not answer is skipped`() async {
        let (world, inventory) = world(of: 3) { Instant(milliseconds: 5) }
        world.change(HostName("h2")) { $0.answers = false }
        let observations = observations(world, inventory)
        await observations.askNext()
        #expect(observations.recent(at: Instant(milliseconds: 5)) == nil)
        await observations.askNext()
        #expect(observations.recent(at: Instant(milliseconds: 5))?.map(\.host) == [HostName("h3")])
    }
}
