// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import HostAgent

struct EffectLanesTests {
    private let order = MigrationOrder.testOrder(at: Instant(milliseconds: 0))
    private let other = MigrationOrder.testOrder("other", at: Instant(milliseconds: 0))

    @Test func `an order's effects wait for each other, and no others wait for them`() throws {
        let lanes = EffectLanes()
        let lane = try #require(EffectLanes.Lane(.shut(order)))
        #expect(lanes.put(.look(order), in: lane))
        #expect(lanes.next(in: lane) == .look(order))
        #expect(!lanes.put(.shut(order), in: lane), "it is being worked on")
        #expect(!lanes.put(.forget(order), in: lane))
        for effect in [AgentCore.Effect.cancelMigration(order), .look(other), .append(report)] {
            #expect(lanes.put(effect, in: try #require(EffectLanes.Lane(effect))), "\(effect)")
        }
        #expect(lanes.next(in: lane) == .shut(order))
        #expect(lanes.next(in: lane) == .forget(order))
        #expect(lanes.next(in: lane) == nil)
        #expect(lanes.put(.look(order), in: lane), "no worker is left in the lane")
    }

    private var report: OrderReport {
        OrderReport(order: order.id, host: order.source, at: Instant(milliseconds: 0), step: .released)
    }
}
