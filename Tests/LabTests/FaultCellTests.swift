// SPDX-License-Identifier: Apache-2.0
import Fleet
import Settings
import Testing

@testable import Lab

struct FaultCellTests {
    @Test func `a seed always draws the same cells, all different and possible`() {
        for seed: UInt64 in 1...20 {
            let drawn = FaultCell.draw(100, seed: seed)
            #expect(drawn.count == 100 && Set(drawn).count == 100)
            #expect(drawn.allSatisfy { $0.exclusion == nil })
            #expect(drawn == FaultCell.draw(100, seed: seed))
            #expect(Array(drawn.prefix(10)) == FaultCell.draw(10, seed: seed))
        }
        #expect(FaultCell.draw(20, seed: 1) != FaultCell.draw(20, seed: 2))
    }

    @Test func `the components take turns`() {
        let count = FaultCell.Component.allCases.count
        #expect(Set(FaultCell.draw(count, seed: 7).map(\.component)).count == count)
    }

    @Test func `a draw ends when every cell has been drawn`() {
        let all = FaultCell.draw(10_000, seed: 3)
        #expect(all.count == FaultCell.possible.count && Set(all) == Set(FaultCell.possible))
        #expect(all.count >= 300)
    }

    @Test func `every combination is a cell or has a reason`() {
        let combinations = FaultCell.combinations
        #expect(Set(combinations).count == combinations.count)
        for cell in combinations {
            if let reason = cell.exclusion { #expect(!reason.isEmpty, "\(cell)") }
        }
        let components = Set(FaultCell.possible.map(\.component))
        #expect(components.count == FaultCell.Component.allCases.count)
        for phase in MovePhase.allCases { #expect(FaultCell.possible.contains { $0.phase == phase }, "\(phase)") }
    }

    @Test(arguments: [
        "link/restart/copying/ipsec", "link/kill/copying/ipsec", "link/stop/saving/sealed",
        "source-qemu/restart/copying/tls", "source-qemu/kill/moved/sealed", "target-storage-link/kill/moved/tls",
        "target-qemu/kill/prepared/ipsec",
        "storage/restart/copying/tls", "source-host/restart/copying/tls", "source-charon/kill/copying/tls",
        "source-agent/kill/saving/ipsec", "source-agent/kill/copying/sealed",
    ])
    func `an impossible combination is excluded`(name: String) throws {
        #expect(try #require(FaultCell(name)).exclusion != nil)
    }

    @Test(arguments: [
        "source-agent/kill/copying/ipsec", "target-agent/kill/switch-over/ipsec", "source-libvirtd/kill/copying/tls",
        "link/stop/switch-over/ipsec", "source-host/kill/saving/sealed", "target-qemu/stop/copying/tls",
        "controller/restart/moved/sealed", "source-qemu/kill/moved/ipsec",
        "target-storage-link/stop/restoring/sealed", "storage-link/stop/restoring/sealed",
    ])
    func `a cell has a name that can be read back`(name: String) throws {
        let cell = try #require(FaultCell(name))
        #expect(cell.exclusion == nil)
        #expect(cell.description == name)
    }

    @Test(arguments: [
        "", "agent/kill/copying/ipsec", "source-agent/kill/copying", "source-agent/kill/copying/plain",
        "source-agent/kill/copying/ipsec/", "source-agent//copying/ipsec",
    ])
    func `a wrong name is not a cell`(name: String) { #expect(FaultCell(name) == nil) }

    @Test func `in its own cells the controller makes the cell's move and no other`() throws {
        let guest = try #require(FaultBench.plan.guests.first)
        let own = FaultBench.settings(Settings(), requiring: guest, on: HostName("h2"), over: .tls)
        #expect(own.policy.mode == .automatic && own.policy.planning.aggressiveness == 1)
        #expect(own.policy.rules.map(\.vms) == [[guest.uuid]] && own.policy.rules.map(\.hosts) == [[HostName("h2")]])
        #expect(own.policy.rules.map(\.kind) == [.onlyOn])
        #expect(own.policy.channels == [.tls] && own.policy.maintenance.isEmpty)
    }

    @Test func `only faults that end a VM or lose an answer need an operator`() {
        for cell in FaultCell.possible where cell.allowedOutcomes.contains(where: \.needsOperator) {
            let ends = cell.action == .kill && (cell.component.isHost || cell.component.isQEMU)
            #expect(ends || [.switchOver, .moved].contains(cell.phase), "\(cell)")
        }
        for cell in FaultCell.possible { #expect(!cell.allowedOutcomes.isEmpty, "\(cell)") }
    }
}

extension FaultCell.Component {
    fileprivate var isQEMU: Bool { self == .sourceQEMU || self == .targetQEMU }
}
