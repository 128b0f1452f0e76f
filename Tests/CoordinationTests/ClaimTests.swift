// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import TestSupport
import Testing

@testable import Coordination

/// A fleet of hosts that were enrolled with 8 cores and 32 GiB; a test changes the first host's samples.
struct ClaimedFleet {
    var core: ControllerCore
    var second = 0
    var announced: [ControllerNews] = []
    let names: [HostName]
    /// Changes the first host's sample.
    var lie: (inout LoadSample) -> Void = { _ in }

    static let total = UInt64(32) << 30
    static let available = UInt64(24) << 30
    static let hardware = EnrolledHardware(cpus: 8, memoryBytes: total)

    init(hosts: Int, hardware: EnrolledHardware? = Self.hardware) {
        core = inControl(Policy())
        names = (1...hosts).map { HostName("h\($0)") }
        guard let hardware else { return }
        _ = core.handle(.enrolled(Dictionary(uniqueKeysWithValues: names.map { ($0, hardware) })))
    }

    var liar: HostName { names[0] }

    static func vm(_ host: HostName) -> VMSample {
        VMSample(
            id: VMID("vm-\(host)"),
            name: "vm-\(host)",
            state: .running,
            cpuCores: 1,
            vcpus: 2,
            memoryBytes: 1 << 30
        )
    }

    /// Lets a number of seconds pass; every host writes a sample every 5 s.
    mutating func run(_ seconds: Int) {
        for _ in 0..<(seconds / 5) {
            second += 5
            for name in names {
                var sample = LoadSample(
                    host: name,
                    at: .second(second),
                    intervalSeconds: 5,
                    cpu: CPULoad(capacityCores: 8, busyCores: 2),
                    memory: MemoryLoad(
                        totalBytes: Self.total,
                        usedBytes: Self.total - Self.available,
                        availableBytes: Self.available
                    ),
                    vms: [Self.vm(name)]
                )
                if name == liar { lie(&sample) }
                _ = core.handle(.sample(sample, at: .second(second)))
            }
            for effect in core.handle(.tick(at: .second(second), identifier: "d\(second)")) {
                if case .announce(let one) = effect { announced.append(one) }
            }
        }
    }

    /// The contradictions for which the liar is distrusted.
    var verdict: [Contradiction]? { core.snapshot(at: .second(second)).distrusted[liar] }
    var grave: [ControllerNews] { announced.filter { $0.kind == .distrust } }
    /// The announcements that the liar is distrusted.
    var distrust: [ControllerNews] {
        grave.filter { if case .judged(let judgement) = $0 { judgement.host == liar } else { false } }
    }
    var twice: [RunningTwice] {
        announced.compactMap { if case .runningTwice(let twice) = $0 { twice } else { nil } }
    }
    /// The liar's figures that plans use.
    var planned: LoadSample? { core.snapshot(at: .second(second)).hosts.first { $0.name == liar }?.latest }
}

/// A host with false claims.
struct ClaimTests {
    struct Lie: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var tell: @Sendable (inout LoadSample) -> Void
        var contradiction: Contradiction
    }

    static let lies: [Lie] = [
        Lie(
            testDescription: "cores",
            tell: { $0.cpu?.capacityCores = 32 },
            contradiction: .moreThanEnrolled(claimed: .cores(32), enrolled: .cores(8))
        ),
        Lie(
            testDescription: "memory",
            tell: {
                $0.memory?.totalBytes *= 2
                $0.memory?.usedBytes += ClaimedFleet.total
            },
            contradiction: .moreThanEnrolled(
                claimed: .memory(mebibytes: 65536),
                enrolled: .memory(mebibytes: 32768)
            )
        ),
        Lie(
            testDescription: "memory available",
            tell: { $0.memory = MemoryLoad(totalBytes: 32 << 30, usedBytes: 20 << 30, availableBytes: 31 << 30) },
            contradiction: .memoryDoesNotAddUp(
                usedMebibytes: 20480,
                availableMebibytes: 31744,
                totalMebibytes: 32768
            )
        ),
        Lie(
            testDescription: "less use than its VMs",
            tell: {
                $0.cpu?.busyCores = 0
                $0.vms?[0].cpuCores = 6
            },
            contradiction: .vmsUseMore(busyCores: 0, vmCores: 6)
        ),
    ]

    @Test(arguments: lies)
    func `a contradicted claim is distrusted, reported once and later forgiven`(_ lie: Lie) {
        var fleet = ClaimedFleet(hosts: 4)
        fleet.run(120)
        #expect(fleet.verdict == nil && fleet.grave.isEmpty)
        fleet.lie = lie.tell
        fleet.run(120)
        #expect(fleet.verdict == [lie.contradiction], "\(fleet.verdict ?? [])")
        #expect(fleet.grave.count == 1 && fleet.distrust.count == 1, "\(fleet.grave)")
        fleet.lie = { _ in }
        fleet.run(240)
        #expect(fleet.verdict != nil, "not forgiven at once")
        fleet.run(180)
        #expect(fleet.verdict == nil && fleet.grave.count == 1)
    }

    @Test func `a host may claim less than was enrolled`() {
        // For example, a control group limits the host.
        var fleet = ClaimedFleet(hosts: 4)
        fleet.lie = {
            $0.cpu?.capacityCores = 2
            $0.memory = MemoryLoad(totalBytes: 4 << 30, usedBytes: 3 << 30, availableBytes: 1 << 29)
        }
        fleet.run(180)
        #expect(fleet.verdict == nil && fleet.grave.isEmpty)
        #expect(fleet.planned?.cpu?.capacityCores == 2 && fleet.planned?.memory?.totalBytes == 4 << 30)
    }

    @Test func `a false claim is capped at once, and small differences are tolerated`() {
        var fleet = ClaimedFleet(hosts: 4)
        fleet.run(120)
        fleet.lie = {
            $0.cpu?.capacityCores = 32
            $0.memory?.totalBytes *= 2
        }
        fleet.run(5)
        #expect(fleet.planned?.cpu?.capacityCores == 8 && fleet.planned?.memory?.totalBytes == ClaimedFleet.total)
        fleet.lie = { $0.memory?.availableBytes += 1 << 30 }
        fleet.run(180)
        #expect(fleet.verdict == nil && fleet.grave.isEmpty, "the sum is within the margin")
    }

    @Test func `a contradiction that some samples of a minute do not have does not count`() {
        for lie in Self.lies {
            var fleet = ClaimedFleet(hosts: 2)
            fleet.run(60)
            for _ in 1...4 {
                fleet.lie = lie.tell
                fleet.run(30)
                fleet.lie = { _ in }
                fleet.run(5)
            }
            #expect(fleet.verdict == nil && fleet.grave.isEmpty, "\(lie.testDescription)")
        }
    }

    @Test func `a host's claims about other hosts' VMs do not make these hosts distrusted`() {
        var fleet = ClaimedFleet(hosts: 3)
        fleet.lie = { sample in
            for name in ["h2", "h3"] { sample.vms?.append(ClaimedFleet.vm(HostName(name))) }
            sample.cpu?.busyCores = 4
        }
        fleet.run(180)
        #expect(fleet.core.snapshot(at: .second(180)).distrusted.isEmpty)
    }

    @Test(arguments: [false, true])
    func `a VM that two hosts run is reported once, also if one of them is distrusted`(isDistrusted: Bool) {
        var fleet = ClaimedFleet(hosts: 3)
        fleet.lie = { sample in
            sample.vms?.append(ClaimedFleet.vm(HostName("h2")))
            if isDistrusted { sample.cpu?.capacityCores = 32 }
        }
        fleet.run(120)
        #expect((fleet.verdict != nil) == isDistrusted)
        let hosts = [HostName("h1"), HostName("h2")]
        #expect(fleet.twice == [RunningTwice(vm: VMID("vm-h2"), vmName: "vm-h2", hosts: hosts)])
    }

    @Test func `a host that suddenly claims another host's VM is named, and does not keep it from being moved`() {
        for mutations in [[], [.believesClaims]] as [Set<Mutation>] {
            var fleet = ClaimedFleet(hosts: 3)
            fleet.core.mutations = mutations
            fleet.run(70)
            fleet.lie = { $0.vms?.append(ClaimedFleet.vm(HostName("h2"))) }
            fleet.run(10)
            let h2 = HostName("h2")
            let holder = mutations.isEmpty ? h2 : nil
            let twice = RunningTwice(vm: VMID("vm-h2"), vmName: "vm-h2", hosts: [HostName("h1"), h2], holder: holder)
            #expect(fleet.twice == [twice], "at once, and once")
            let model = FleetModel(fleet.core.snapshot(at: .second(fleet.second)), policy: Policy())
            let vm = model.vms.first { $0.id == twice.vm }
            #expect((vm?.host == h2) == mutations.isEmpty)
            #expect((vm?.staysBecause == .runningTwice(twice)) == !mutations.isEmpty)
        }
    }

    @Test func `an order that was done explains a VM on its target, and one that failed explains a copy there`() {
        for isDone in [false, true] {
            var fleet = ClaimedFleet(hosts: 3)
            fleet.run(70)
            let vm = ClaimedFleet.vm(HostName("h2"))
            let order = MigrationOrder.sample("o1", vm: vm.id, named: vm.name, from: "h2", to: "h1", at: .second(70))
            _ = fleet.core.handle(.order(.migrate(order: order)))
            let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("broken pipe"), .at(HostName("h2"))))
            let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
            for step in [.running(progress: begin), isDone ? done : failed] as [OrderStep] {
                let report = OrderReport(order: order.id, host: order.source, at: .second(71), step: step)
                _ = fleet.core.handle(.report(report, at: .second(71)))
            }
            fleet.lie = { $0.vms?.append(vm) }
            fleet.run(80)
            #expect(fleet.twice.map(\.holder) == [isDone ? HostName("h1") : nil])
        }
    }

    @Test func `other enrolled hardware counts from the next sample on`() {
        var fleet = ClaimedFleet(hosts: 2)
        _ = fleet.core.handle(.enrolled([HostName("h1"): EnrolledHardware(cpus: 4, memoryBytes: 64 << 30)]))
        fleet.run(60)
        #expect(fleet.verdict == [.moreThanEnrolled(claimed: .cores(8), enrolled: .cores(4))])
        _ = fleet.core.handle(.enrolled([HostName("h1"): EnrolledHardware(cpus: 8, memoryBytes: 64 << 30)]))
        fleet.run(400)
        #expect(fleet.verdict == nil)
    }

    @Test func `a liar cannot end its probation by its own clock`() {
        for ahead in [Policy().staleAfter - .seconds(1), Policy().cooldown + .seconds(60), .seconds(86400)] {
            var fleet = ClaimedFleet(hosts: 4)
            fleet.lie = { $0.cpu?.capacityCores = 32 }
            fleet.run(180)
            #expect(fleet.verdict != nil)
            fleet.lie = { $0.at = $0.at + ahead }
            fleet.run(20)
            #expect(fleet.verdict != nil, "dated \(ahead) ahead")
            fleet.lie = { _ in }
            fleet.run(1800)
            #expect(fleet.verdict == nil, "forgiven by the controller's clock")
        }
    }

    @Test(arguments: lies.suffix(2)) func `a host that contradicts itself needs no enrolled hardware`(_ lie: Lie) {
        var fleet = ClaimedFleet(hosts: 2, hardware: nil)
        fleet.lie = lie.tell
        fleet.run(60)
        #expect(fleet.verdict == [lie.contradiction])
    }

    @Test func `a host that claims another host's VMs does not distort their statistics`() {
        func statistics(lies: Bool) -> LoadStatistics {
            var fleet = ClaimedFleet(hosts: 4)
            fleet.run(60)
            if lies {
                fleet.lie = { sample in
                    for name in ["h2", "h3", "h4"] {
                        var stolen = ClaimedFleet.vm(HostName(name))
                        stolen.cpuCores = 0
                        sample.vms?.append(stolen)
                    }
                }
            }
            fleet.run(600)
            return fleet.core.snapshot(at: .second(660)).statistics
        }
        let (honest, lied) = (statistics(lies: false), statistics(lies: true))
        for name in ["h2", "h3", "h4"] {
            let id = ClaimedFleet.vm(HostName(name)).id
            #expect(lied.vms[id]?.mean == honest.vms[id]?.mean && honest.vms[id]?.mean == 1)
            #expect(lied.vms[id]?.seconds == honest.vms[id]?.seconds)
        }
    }
}
