// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// One kind of fault, and its trace in the event log while two VMs move round a ring of three hosts.
struct OneFault: Sendable, CustomTestStringConvertible {
    var fault: Fault
    /// Seconds after the orders.
    var at: Int64
    var seen: String
    /// The number of the two moves that complete in spite of the fault.
    var moves: ClosedRange<Int>

    var testDescription: String { "\(fault)" }

    private init(_ fault: Fault, at: Int64, moves: ClosedRange<Int> = 2...2, _ seen: String) {
        self.fault = fault
        self.at = at
        self.seen = seen
        self.moves = moves
    }

    /// The moves begin after half a second and send memory until second 10.
    static let all: [OneFault] = [
        OneFault(.agentCrash(host: 0), at: 4, "agent of h1 starts"),
        OneFault(.controllerCrash, at: 4, "controller: in control: the ledger has 3 hosts and 2 orders"),
        OneFault(.controllerFrozen, at: 4, "h1: order order-1 done"),
        OneFault(.libvirtCrash(host: 0), at: 4, moves: 1...1, "from h1 ended: libvirt on the source is down"),
        OneFault(.libvirtCrash(host: 2), at: 4, moves: 1...1, "from h2 ended: libvirt on the target is down"),
        OneFault(.hostCrash(host: 0), at: 4, moves: 1...1, "h1 is up again"),
        OneFault(.hostCrash(host: 2), at: 4, moves: 1...1, "from h2 ended: libvirt on the target is down"),
        OneFault(.partition(.host(0), .host(1)), at: 4, moves: 1...1, "from h1 ended: the path is down"),
        OneFault(.partition(.host(0), .host(1)), at: 0, moves: 1...1, "no protected path"),
        OneFault(.partition(.host(0), .ledger), at: 4, "h1: order order-1 done"),
        OneFault(.partition(.controller, .ledger), at: 4, "h1: order order-1 done"),
        OneFault(.ledgerOut, at: 4, "h1: order order-1 done"),
        OneFault(.ledgerFull, at: 4, "h1: order order-1 done"),
        OneFault(.ledgerSlow(milliseconds: 4000), at: 0, "h1: order order-1 done"),
        OneFault(.ledgerDuplicates, at: 0, "h1: order order-1 done"),
        OneFault(.ledgerUnsure, at: 0, moves: 0...2, "h1: order order-1"),
        OneFault(.ledgerLoss, at: 0, moves: 0...2, "a record is lost"),
        OneFault(.clockJump(.host(0), milliseconds: 500_000), at: 4, "h1: order order-1 done"),
        OneFault(.clockJump(.host(0), milliseconds: -3_600_000), at: 4, "h1: order order-1 done"),
        OneFault(.clockJump(.controller, milliseconds: 60_000), at: 4, "h1: order order-1 done"),
        OneFault(.migrationFails(host: 0, phase: .prepare), at: 0, moves: 1...1, "qemu failed in phase prepare"),
        OneFault(.migrationFails(host: 0, phase: .memory), at: 0, moves: 1...1, "qemu failed in phase memory"),
        OneFault(.migrationFails(host: 0, phase: .stop), at: 0, moves: 1...1, "qemu failed in phase stop"),
        OneFault(.migrationFails(host: 0, phase: .finish), at: 0, moves: 1...1, "qemu failed in phase finish"),
        OneFault(.migrationFails(host: 0, phase: .confirm), at: 0, "h1: discard vm1: done"),
        OneFault(.migrationHangs(host: 0), at: 0, "h1: order order-1 done"),
        OneFault(.answerLost(host: 0, resumes: false), at: 0, "h1: discard vm1: done"),
        OneFault(.handoverLost(host: 0), at: 0, moves: 1...1, "h1: resume vm1: done"),
        OneFault(.answerLost(host: 0, resumes: true), at: 0, moves: 1...1, "h1: pause vm1: done"),
        OneFault(.leak(host: 0), at: 0, "operator clears ipsec between h1 and h2: order-1 leaked"),
        OneFault(.diskFull(host: 0), at: 0, moves: 1...1, "not begun, because its source cannot save a mark"),
        OneFault(.diskFull(host: 0), at: 4, "h1: order order-1 done"),
        OneFault(.redefinition(host: 0), at: 0, "h1: order order-1"),
        OneFault(.forgery(host: 2), at: 0, "h1: order order-1 done"),
        OneFault(.lie(host: 2), at: 0, "h1: order order-1 done"),
        OneFault(.operatorStops(host: 0), at: 4, moves: 1...1, "vm1: an operator starts it again on h1"),
        OneFault(.operatorStops(host: 2), at: 4, "vm3: an operator starts it again on h3"),
        OneFault(.operatorPauses(host: 2), at: 4, "vm3: an operator starts it again on h3"),
        OneFault(.operatorStartsCopy(host: 0), at: 25, "h1: pause vm1: done"),
        OneFault(.operatorResumes(host: 0), at: 4, "h1: order order-1 done"),
        OneFault(.wrongClockAtBoot(host: 0, milliseconds: 7_200_000), at: 4, moves: 1...1, "h1 is up again"),
        OneFault(.wrongClockAtBoot(host: 0, milliseconds: -7_200_000), at: 4, moves: 1...1, "h1 is up again"),
        OneFault(.libvirtStuck(host: 0), at: 4, "h1: order order-1 done"),
        OneFault(.libvirtStuck(host: 2), at: 4, "h2: order order-2 done"),
        OneFault(.newerVersion(host: 0), at: 0, "h1: order order-1 done"),
    ]
}

/// Each fault alone, in a world with two moves in progress.
struct FaultTests {
    /// Runs 20 s of the fault, and then long enough to see that the fleet has recovered.
    private func run(_ one: OneFault) throws -> (world: World, lines: [String]) {
        let fault = ScheduledFault(at: .seconds(1 + one.at), lasts: .seconds(20), fault: one.fault)
        var world = World(SmallWorld.ring())
        let lines = try eventLog(SmallWorld.ring(duration: .seconds(3600), faults: [fault])) {
            world = $0
            try $0.run(until: 0.9)
            try $0.order(0, to: 1)
            try $0.order(1, to: 2)
            try $0.run()
        }
        return (world, lines)
    }

    @Test(arguments: OneFault.all)
    func `a single fault breaks no invariant`(_ one: OneFault) throws {
        let (world, lines) = try run(one)
        let told = Comment(rawValue: lines.joined(separator: "\n"))
        #expect(lines.contains { $0.contains("fault: \(one.fault)") }, told)
        #expect(lines.contains { $0.contains("fault ends: \(one.fault)") }, told)
        let begins = lines.firstIndex { $0.contains("fault: \(one.fault)") } ?? 0
        #expect(lines[begins...].contains { $0.contains(one.seen) }, told)
        #expect(world.controller?.orders.values.filter { $0.stage.isFinal }.count == 2, told)
        #expect((0..<3).allSatisfy { world.places(of: $0).count == 1 }, told)
        #expect(one.moves.contains(world.measures.migrations), told)
        #expect(world.hosts.allSatisfy { $0.transfers == 0 && $0.isUp && $0.libvirtIsUp }, told)
        #expect(world.simulatedSeconds < 3600, "it settles")
    }

    @Test func `a host that claims more cores than were enrolled is distrusted`() throws {
        let fault = ScheduledFault(at: .seconds(10), lasts: .seconds(150), fault: .lie(host: 2))
        let lines = try eventLog(SmallWorld.ring(duration: .seconds(600), faults: [fault])) { try $0.run() }
        let told = Comment(rawValue: lines.joined(separator: "\n"))
        #expect(lines.contains { $0.contains("controller: h3 is distrusted") }, told)
    }
}
