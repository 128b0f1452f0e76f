// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet

let h1 = HostName("h1")
let h2 = HostName("h2")

let order = MigrationOrder(
    id: OrderID("o1"),
    vm: VMID("uuid-1"),
    vmName: "vm1",
    source: h1,
    target: h2,
    channel: .ipsec,
    issuedAt: .second(0),
    expires: .second(120),
    issuer: .controller,
    reason: "a test"
)

let requirements = VMRequirements(
    id: VMID("uuid-1"),
    name: "vm1",
    domainType: "kvm",
    hypervisor: HypervisorFacts(
        type: "qemu",
        version: 7_002_000,
        libvirtVersion: 9_000_000,
        architecture: "x86_64",
        cpuModel: nil
    ),
    emulator: nil,
    machine: "pc-q35-7.2",
    architecture: "x86_64",
    vcpus: 1,
    memoryBytes: 1 << 27,
    cpuXML: nil,
    disks: [],
    networks: []
)

let progress = MigrationProgress(elapsedSeconds: 1, bytesTransferred: 5, bytesRemaining: 5, bytesTotal: 10)

let begin = MigrationProgress(elapsedSeconds: 0, bytesTransferred: 0, bytesRemaining: 0, bytesTotal: 0)

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

/// A controller that has read an empty ledger.
func inControl(_ policy: Policy) -> ControllerCore {
    var core = ControllerCore(policy: policy)
    _ = core.handle(.caughtUp(at: .second(0)))
    return core
}
