// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS
import TestSupport
import Testing

@testable import HostAgent

/// What is logged while a VM cannot be restored.
struct RestorationLogTests {
    private let fleet = TestFleet()
    private let order = MigrationOrder.sealed(at: .now)

    @Test func `a failure is logged once, and once it runs the same failure is new`() async {
        let service = AgentService(
            settings: .sample(),
            host: h1.rawValue,
            ledger: fleet.ledger,
            hypervisor: fleet.world.hypervisor(of: h1),
            channels: .withoutTunnels(h1),
            logger: fleet.log.logger("h1")
        )
        let failure = OrderFailure(.migration, .sealed(.imageNotOpen), .notLooked)
        for _ in 1...2 { await service.logRestoration("restore it", .failure(failure), of: order) }
        #expect(fleet.log.count("cannot restore it") == 1)
        await service.logRestoration("restore it", .success(.now), of: order)
        #expect(await service.waits.change(of: order.id, to: nil) == nil, "nothing is left that could end later")
        await service.logRestoration("restore it", .failure(failure), of: order)
        #expect(fleet.log.count("cannot restore it") == 2)
    }
}
