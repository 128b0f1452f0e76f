// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import TestSupport

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

extension Instant {
    static func second(_ second: Int) -> Instant { Instant(milliseconds: Int64(second) * 1000) }
}

/// Returns a controller that has read an empty ledger.
func inControl(_ policy: Policy) -> ControllerCore {
    var core = ControllerCore(policy: policy)
    _ = core.handle(.caughtUp(at: .second(0)))
    return core
}
