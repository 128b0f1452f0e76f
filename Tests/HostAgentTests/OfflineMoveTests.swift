// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS
import Hypervisor
import TestSupport
import Testing

@testable import HostAgent

/// Moves of VMs that are off, through both agents.
@Suite(.timeLimit(.minutes(2))) struct OfflineMoveTests {
    private let fleet = TestFleet()
    private let order: MigrationOrder = {
        var order = MigrationOrder.testOrder(at: .now)
        order.technique = .offline
        return order
    }()

    init() {
        var needs = VMRequirements.testVM()
        needs.startsWithHost = true
        fleet.world.place(needs, on: h1, as: .inactive)
    }

    private func presence(on host: HostName) async throws -> DomainPresence {
        try await fleet.world.hypervisor(of: host).presence(of: vm)
    }

    @Test func `two agents move the definition of a VM that is off, and its autostart`() async throws {
        try await fleet.run {
            try await fleet.submit(order)
            let end = try await fleet.end(of: order)
            guard case .done(let outcome, let evidence) = end else { throw Unexpected(description: "\(end)") }
            #expect(outcome.bytesTransferred == 0 && outcome.downtimeSeconds == nil && outcome.note == nil)
            #expect(evidence.bytesByHypervisor == 0, "no guest memory was sent")
            try await eventually("it starts with h2") { fleet.world.hostsStarting(vm) == [h2] }
        }
        #expect(try await presence(on: h2) == .inactive)
        #expect(try await presence(on: h1) == .absent)
        #expect(fleet.world.violations == [])
    }

    @Test func `a VM that runs is not moved offline, and one that is off not live`() async throws {
        try await fleet.run {
            let live = MigrationOrder.testOrder("o2", at: .now)
            try await fleet.submit(live)
            #expect(try await fleet.failure(of: live).preflight.map(\.reason.code) == ["not-running"])
            fleet.world.place(.testVM(), on: h1)
            try await fleet.submit(order)
            #expect(try await fleet.failure(of: order).preflight.map(\.reason.code) == ["not-off"])
        }
        #expect(fleet.world.hostsRunning(vm) == [h1] && fleet.world.hostsDefining(vm) == [h1])
    }

    @Test func `a VM with state on its host is refused`() async throws {
        let reasons: [PreflightFailure.HypervisorReason] = [.hostState(.tpm), .managedSave, .snapshots(1)]
        fleet.world.change(h1) { $0.blockers[vm] = reasons }
        try await fleet.run {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .refused && failure.preflight.map(\.reason) == reasons.map { .hypervisor($0) })
        }
        #expect(fleet.world.hostsDefining(vm) == [h1])
    }

    @Test func `a target that has the VM's definition refuses it`() async throws {
        fleet.world.place(.testVM(), on: h2, as: .inactive)
        try await fleet.run {
            try await fleet.submit(order)
            #expect(try await fleet.failure(of: order).preflight.map(\.check) == [.uuid])
        }
        #expect(fleet.world.hostsDefining(vm) == [h1, h2], "nothing of it was touched")
    }

    @Test(arguments: [InMemoryScript.Aftermath.arrived, .handedOver])
    func `a move whose last answer is lost is done, and one host has the definition`(
        aftermath: InMemoryScript.Aftermath
    ) async throws {
        fleet.world.script(vm, InMemoryScript(.loseTouch(aftermath)))
        try await fleet.run {
            try await fleet.submit(order)
            let end = try await fleet.end(of: order)
            guard case .done(_, let evidence) = end else { throw Unexpected(description: "\(end)") }
            #expect(evidence.bytesByHypervisor == nil, "nobody has seen the end")
            try await eventually("it starts with h2") { fleet.world.hostsStarting(vm) == [h2] }
        }
        #expect(fleet.world.hostsDefining(vm) == [h2])
        #expect(fleet.world.violations == [])
    }

    @Test func `a definition that did not arrive stays, with its autostart`() async throws {
        fleet.world.script(vm, InMemoryScript(.loseTouch(.stayed)))
        try await fleet.run {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.whereabouts == .at(h1) && failure.reason.code == "stayed")
            try await eventually("it starts with h1") { fleet.world.hostsStarting(vm) == [h1] }
        }
        #expect(fleet.world.hostsDefining(vm) == [h1])
        #expect(fleet.world.hostsRunning(vm) == [], "it was off")
    }

    @Test func `if the VM is started at the source, the target removes the definition`() async throws {
        fleet.world.script(vm, InMemoryScript(.loseTouch(.startedAtSource)))
        try await fleet.run {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.whereabouts == .at(h1) && failure.reason.code == "defined-there")
            try await eventually("h2 has removed it") { fleet.world.hostsDefining(vm) == [h1] }
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
        #expect(fleet.world.violations == [])
    }
}
