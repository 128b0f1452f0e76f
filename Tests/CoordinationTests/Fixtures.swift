// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import TestSupport
import Testing

let h1 = HostName("h1")
let h2 = HostName("h2")

let order = MigrationOrder.sample(at: .second(0), lifetime: .seconds(120), issuer: .controller)

let requirements = VMRequirements.sample()

/// The requirements that the tests' source reads when it accepts an order.
let preparation = Preparation(probes: [], memoryBytes: requirements.memoryBytes)

let progress = MigrationProgress(elapsedSeconds: 1, bytesTransferred: 5, bytesRemaining: 5, bytesTotal: 10)

let begin = MigrationProgress.begun

let completion = AgentCore.Completion(
    outcome: MigrationOutcome(startedAt: .second(4), endedAt: .second(9), totalSeconds: 5),
    evidence: Evidence(channel: .ipsec, verdict: .covered)
)

func report(_ host: String, _ second: Int, _ step: OrderStep) -> OrderReport {
    OrderReport(order: order.id, host: HostName(host), at: .second(second), step: step)
}

/// Returns the source of an order whose move is under way since second 4.
func migratingSource(of move: MigrationOrder = order, with needs: VMRequirements = requirements) -> AgentCore {
    var core = AgentCore(host: h1)
    _ = core.handle(.caughtUp, at: .second(0))
    _ = core.handle(.order(.migrate(order: move)), at: .second(1))
    _ = core.handle(.requirementsRead(move.id, .success(needs)), at: .second(2))
    _ = core.handle(.appended(.written), at: .second(2))
    _ = core.handle(.report(report("h2", 3, .prepared())), at: .second(4))
    let preparation = Preparation(
        probes: [],
        memoryBytes: needs.memoryBytes,
        startsWithHost: needs.startsWithHost == true
    )
    #expect(core.handle(.appended(.written), at: .second(4)) == [.migrate(move, preparation)])
    return core
}

extension Instant {
    static func second(_ second: Int) -> Instant { Instant(milliseconds: Int64(second) * 1000) }
}

/// Returns a controller that has read an empty ledger.
func inControl(_ policy: Policy) -> ControllerCore {
    var core = ControllerCore(policy: policy)
    _ = core.handle(.caughtUp(at: .second(0)))
    return core
}

/// Feeds samples of an overloaded h1 with vm1, and of a light h2.
func overload(
    _ core: inout ControllerCore,
    at second: Int,
    targetCPU: Double = 0.5,
    definition: String? = nil,
    cannotMove: CannotMove? = nil,
    hypervisor: HypervisorFacts? = nil
) {
    let vm = VMSample(
        id: order.vm,
        name: "vm1",
        state: .running,
        cpuCores: 1,
        vcpus: 1,
        memoryBytes: 1 << 27,
        definition: definition,
        cannotMove: cannotMove
    )
    for (host, busy, vms) in [(h1, 3.9, [vm]), (h2, targetCPU, [])] {
        let sample = LoadSample(
            host: host,
            at: .second(second),
            intervalSeconds: 5,
            cpu: CPULoad(capacityCores: 4, busyCores: busy),
            memory: MemoryLoad(totalBytes: 1 << 34, usedBytes: 1 << 32, availableBytes: 3 << 32),
            hypervisor: hypervisor,
            vms: vms
        )
        _ = core.handle(.sample(sample, at: .second(second)))
    }
}
