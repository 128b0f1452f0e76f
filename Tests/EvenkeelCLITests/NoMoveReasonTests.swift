// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

@testable import EvenkeelCLI

/// Why a plan has no move.
struct NoMoveReasonTests {
    /// Returns the reason for a fleet in which h1, with these VMs, is to be emptied.
    private func reason(_ vms: [(name: String, stays: StayReason?)]) -> NoMoveReason {
        let hosts = [("h1", HostMode.maintenance), ("h2", .active)].map { name, mode in
            Host(
                name: HostName(name),
                capacity: Resources(cpuCores: 16, memoryBytes: 64 << 30),
                cpus: 16,
                mode: mode
            )
        }
        let model = FleetModel(
            at: Instant(milliseconds: 0),
            hosts: hosts,
            vms: vms.map { name, stays in
                VirtualMachine(
                    id: VMID(name),
                    name: name,
                    host: HostName("h1"),
                    demand: Resources(cpuCores: 1, memoryBytes: 1 << 30),
                    vcpus: 1,
                    staysBecause: stays
                )
            }
        )
        let plan = Planner().plan(for: model)
        #expect(plan.moves.isEmpty)
        return NoMoveReason(plan, model, PlanningPolicy())
    }

    @Test func `a drain that cannot end says why nothing can move`() throws {
        let reasons = try #require(CannotMove([.hypervisor(.snapshots(2))]))
        let one = reason([("a", .cannotMove(reasons))])
        #expect(one == .nothingCanMove(reasons, vms: 1) && one.code == "nothing-can-move")
        #expect("\(one)" == "nothing can move, because " + reasons.text)
        let two = reason([("a", .cannotMove(reasons)), ("b", .cannotMove(reasons))])
        #expect("\(two)".hasSuffix("the reasons of all 2 VMs are listed below"))
    }

    @Test func `other reasons to stay are not called an inability to move`() throws {
        let reasons = try #require(CannotMove([.hypervisor(.snapshots(2))]))
        let mixed = reason([("a", .cannotMove(reasons)), ("b", .paused)])
        #expect(mixed == .nothingHelps(.balance, hasRefusals: true))
    }
}
