// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

@testable import Coordination

/// The controller orders nothing that the source or the target is known to refuse.
struct CannotMoveTests {
    private let reasons = CannotMove([.hypervisor(.hostDevice("pci"))])
    private let policy = Policy(cooldown: .seconds(20))

    private func facts(_ version: UInt64) -> HypervisorFacts {
        HypervisorFacts(
            type: "qemu",
            version: version,
            libvirtVersion: 9_000_000,
            architecture: "x86_64",
            cpuModel: nil
        )
    }

    /// Feeds samples of an overloaded h1 with one VM and of an idle h2, and decides; returns the effects.
    private func step(
        _ core: inout ControllerCore,
        at second: Int,
        cannotMove: CannotMove? = nil,
        definition: String = "0a1b"
    ) -> [ControllerCore.Effect] {
        overload(
            &core,
            at: second,
            definition: definition,
            cannotMove: cannotMove,
            hypervisor: facts(7_002_000)
        )
        return core.handle(.tick(at: .second(second), identifier: "d\(second)"))
    }

    private func submitted(_ effects: [ControllerCore.Effect]) -> [MigrationOrder] {
        effects.compactMap { if case .submit(let order) = $0 { order } else { nil } }
    }

    @Test func `a VM that cannot move is never ordered, and the reason is announced once`() throws {
        var core = inControl(policy)
        var effects: [ControllerCore.Effect] = []
        for second in stride(from: 5, through: 120, by: 5) {
            effects += step(&core, at: second, cannotMove: reasons)
        }
        #expect(submitted(effects).isEmpty)
        let told = effects.compactMap { effect -> String? in
            guard case .announce(.refused(h1, order.vm, _, let reason)) = effect else { return nil }
            return reason.code
        }
        #expect(told == ["host-device"])
        // The operator has detached the device.
        effects = step(&core, at: 125) + step(&core, at: 130)
        #expect(submitted(effects).map(\.vm) == [order.vm])
    }

    /// Lets the target refuse the first order, and returns the orders of the next 200 s.
    private func ordersAfterRefusal(
        _ core: inout ControllerCore,
        _ reason: PreflightFailure.Reason
    ) throws -> [MigrationOrder] {
        var orders: [MigrationOrder] = []
        for second in [5, 10, 15] { orders += submitted(step(&core, at: second)) }
        let first = try #require(orders.first)
        #expect(orders.count == 1 && first.definition == "0a1b")
        let failure = OrderFailure(
            .refused,
            .preflight,
            .at(h1),
            preflight: [PreflightFailure(check: .cpu, host: h2, reason: reason)]
        )
        let report = OrderReport(order: first.id, host: h2, at: .second(16), step: .failed(failure: failure))
        _ = core.handle(.report(report, at: .second(16)))
        return stride(from: 20, through: 220, by: 5).flatMap { submitted(step(&core, at: $0)) }
    }

    @Test func `an order that its target refused for a lasting reason is not repeated until the VM changes`() throws {
        var core = inControl(policy)
        #expect(try ordersAfterRefusal(&core, .hypervisor(.hostCPUDiffers(model: "EPYC"))).isEmpty)
        #expect(core.snapshot(at: .second(220)).pastMoves.compactMap(\.refusal?.reason.code) == ["host-cpu-differs"])
        let effects = step(&core, at: 225, definition: "2c3d") + step(&core, at: 230, definition: "2c3d")
        #expect(submitted(effects).map(\.definition) == ["2c3d"])
    }

    @Test func `an order that its target refused for a passing reason is repeated`() throws {
        var core = inControl(policy)
        let reason = PreflightFailure.Reason.host(.memoryShort(availableBytes: 1, neededBytes: 2, promisedBytes: 0))
        #expect(try !ordersAfterRefusal(&core, reason).isEmpty)
    }

    @Test func `a target is asked again when its hypervisor has changed since the refusal`() throws {
        func sample(_ version: UInt64) -> LoadSample {
            LoadSample(host: h2, at: .second(Int(version)), hypervisor: facts(version))
        }
        var core = inControl(policy)
        _ = core.handle(.sample(sample(1), at: .second(1)))
        var order = order
        order.definition = "0a1b"
        _ = core.handle(.order(.migrate(order: order)))
        let refusal = PreflightFailure(check: .cpu, host: h2, reason: .hypervisor(.hostCPUDiffers(model: "EPYC")))
        let failure = OrderFailure(.refused, .preflight, .at(h1), preflight: [refusal])
        _ = core.handle(.report(report("h2", 2, .failed(failure: failure)), at: .second(2)))
        _ = core.handle(.sample(sample(3), at: .second(3)))
        #expect(core.snapshot(at: .second(4)).pastMoves.first?.refusal?.hypervisor?.version == 1)
    }
}
