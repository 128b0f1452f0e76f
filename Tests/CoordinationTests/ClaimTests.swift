// SPDX-License-Identifier: Apache-2.0
import Balancing
import Coordination
import Fleet
import Testing

/// A fleet of hosts with 8 cores and 32 GiB; a test changes the first host's samples.
struct ClaimedFleet {
    var core: ControllerCore
    var second = 0
    var announced: [ControllerNews] = []
    let names: [HostName]
    /// Changes the first host's sample.
    var lie: (inout LoadSample) -> Void = { _ in }
    /// Changes a witness's observation of the first host; `nil` removes it.
    var testimony: (HostName, PeerObservation) -> PeerObservation? = { $1 }

    /// Whether each host observes one other host every 30 s, in turns.
    var looksInTurns = false
    private var seen: [HostName: [PeerObservation]] = [:]

    static let total = UInt64(32) << 30
    static let available = UInt64(24) << 30

    init(hosts: Int) {
        core = inControl(Policy())
        names = (1...hosts).map { HostName("h\($0)") }
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
                let others = names.filter { $0 != name }
                let looksNow = !looksInTurns || second % 30 == 0
                let looked = looksInTurns ? [others[second / 30 % others.count]] : others
                let observations: [PeerObservation] = (looksNow ? looked : []).compactMap { other in
                    let honest = PeerObservation(
                        host: other,
                        at: .second(second),
                        cpus: 8,
                        memoryBytes: Self.total,
                        availableBytes: Self.available,
                        activeVMs: [Self.vm(other).id],
                        vmMemoryBytes: 1 << 30
                    )
                    return other == liar ? testimony(name, honest) : honest
                }
                seen[name] = (seen[name] ?? []).filter { $0.at > .second(second - 300) } + observations
                sample.observations = looksInTurns ? seen[name] : observations
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
    var doubted: [Doubt] { announced.compactMap { if case .doubted(let doubt) = $0 { doubt } else { nil } } }
    /// The liar's figures that plans use.
    var planned: LoadSample? { core.snapshot(at: .second(second)).hosts.first { $0.name == liar }?.latest }
}

/// A host with false claims, and witnesses with false observations.
struct ClaimTests {
    struct Lie: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var tell: @Sendable (inout LoadSample) -> Void
        var contradiction: @Sendable ([HostName]) -> Contradiction
    }

    static let lies: [Lie] = [
        Lie(
            testDescription: "cores",
            tell: { $0.cpu?.capacityCores = 32 },
            contradiction: { .moreThanShown(claimed: .cores(32), shown: .cores(8), witnesses: $0) }
        ),
        Lie(
            testDescription: "memory",
            tell: {
                $0.memory?.totalBytes *= 2
                $0.memory?.usedBytes += ClaimedFleet.total
            },
            contradiction: {
                .moreThanShown(
                    claimed: .memory(mebibytes: 65536),
                    shown: .memory(mebibytes: 32768),
                    witnesses: $0
                )
            }
        ),
        Lie(
            testDescription: "memory available",
            tell: { $0.memory = MemoryLoad(totalBytes: 32 << 30, usedBytes: 2 << 30, availableBytes: 30 << 30) },
            contradiction: { .moreAvailable(mebibytes: 30720, shownMebibytes: 26470, witnesses: $0) }
        ),
        Lie(
            testDescription: "no VM",
            tell: { $0.vms = [] },
            contradiction: { .hiddenVM(VMID("vm-h1"), witnesses: $0) }
        ),
        Lie(
            testDescription: "a VM too many",
            tell: { $0.vms?.append(ClaimedFleet.vm(HostName("nowhere"))) },
            contradiction: { .unseenVM(name: "vm-nowhere", witnesses: $0) }
        ),
    ]

    @Test(arguments: lies)
    func `a claim that two witnesses contradict is distrusted, reported once and later forgiven`(_ lie: Lie) {
        var fleet = ClaimedFleet(hosts: 4)
        fleet.run(120)
        #expect(fleet.verdict == nil && fleet.grave.isEmpty)
        fleet.lie = lie.tell
        fleet.run(120)
        let witnesses = Array(fleet.names.dropFirst())
        #expect(fleet.verdict?.contains(lie.contradiction(witnesses)) == true, "\(fleet.verdict ?? [])")
        #expect(fleet.grave.count == 1 && fleet.distrust.count == 1, "\(fleet.grave)")
        fleet.lie = { _ in }
        fleet.run(240)
        #expect(fleet.verdict != nil, "not forgiven at once")
        fleet.run(180)
        #expect(fleet.verdict == nil && fleet.grave.count == 1)
    }

    @Test func `a host may claim less than libvirt shows`() {
        // For example, a control group limits the host.
        var fleet = ClaimedFleet(hosts: 4)
        fleet.lie = {
            $0.cpu?.capacityCores = 2
            $0.memory = MemoryLoad(totalBytes: 4 << 30, usedBytes: 3 << 30, availableBytes: 1 << 29)
        }
        fleet.run(180)
        #expect(fleet.verdict == nil && fleet.grave.isEmpty)
        #expect(fleet.planned?.cpu?.capacityCores == 2)
    }

    @Test func `a false claim is capped at once, and small differences are tolerated`() {
        var fleet = ClaimedFleet(hosts: 4)
        fleet.run(120)
        fleet.lie = { $0.cpu?.capacityCores = 32 }
        fleet.run(5)
        #expect(fleet.planned?.cpu?.capacityCores == 8)
        fleet.lie = { $0.memory?.availableBytes += 1 << 30 }
        fleet.run(180)
        #expect(fleet.verdict == nil && fleet.grave.isEmpty, "5 % of 32 GiB and 256 MiB are within the margin")
    }

    @Test func `one witness alone does not convict a host, but plans use the lower figure`() {
        var fleet = ClaimedFleet(hosts: 2)
        fleet.lie = { $0.cpu?.capacityCores = 32 }
        fleet.run(180)
        #expect(fleet.verdict == nil)
        let contradiction = Self.lies[0].contradiction([HostName("h2")])
        #expect(fleet.core.doubts == fleet.doubted && fleet.grave.count == 1, "\(fleet.grave)")
        #expect(fleet.doubted.map(\.contradictions) == [[contradiction]] && fleet.doubted[0].host == fleet.liar)
        #expect(fleet.planned?.cpu?.capacityCores == 8)
    }

    @Test func `one lying witness among honest ones changes nothing`() {
        for hosts in [3, 4] {
            var fleet = ClaimedFleet(hosts: hosts)
            fleet.testimony = { witness, seen in
                guard witness == HostName("h2") else { return seen }
                var lie = seen
                (lie.cpus, lie.memoryBytes, lie.availableBytes, lie.activeVMs) = (1, 1 << 30, 0, [VMID("made up")])
                return lie
            }
            fleet.run(180)
            #expect(fleet.verdict == nil && fleet.grave.isEmpty, "\(fleet.grave)")
            #expect(fleet.planned?.cpu?.capacityCores == 8 && fleet.planned?.vms?.count == 1)
        }
    }

    @Test func `one confederate does not save a liar from two witnesses`() {
        var fleet = ClaimedFleet(hosts: 4)
        fleet.lie = { $0.cpu?.capacityCores = 32 }
        fleet.testimony = { witness, seen in
            var seen = seen
            if witness == HostName("h2") { seen.cpus = 64 }
            return seen
        }
        fleet.run(120)
        #expect(fleet.verdict == [Self.lies[0].contradiction([HostName("h3"), HostName("h4")])])
    }

    /// Like agents: each asks one other host every 30 s, in turns, and repeats the observation for 5 min.
    @Test(arguments: lies, [3, 5]) func `witnesses that check in turns catch a liar`(_ lie: Lie, hosts: Int) {
        var fleet = ClaimedFleet(hosts: hosts)
        fleet.looksInTurns = true
        fleet.run(600)
        #expect(fleet.verdict == nil && fleet.grave.isEmpty, "\(fleet.grave)")
        fleet.lie = lie.tell
        fleet.run(300)
        let code = lie.contradiction([]).code
        #expect(fleet.verdict?.contains { $0.code == code } == true, "\(fleet.verdict ?? [])")
        fleet.lie = { _ in }
        fleet.run(900)
        #expect(fleet.verdict == nil && fleet.distrust.count == 1, "\(fleet.grave)")
    }

    @Test func `enrolled hardware convicts a host without witnesses`() {
        var fleet = ClaimedFleet(hosts: 2)
        fleet.testimony = { _, _ in nil }
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

    @Test func `observations of hosts that send no samples are not kept`() {
        func verdict(decides: Bool) -> [Contradiction]? {
            var core = inControl(Policy())
            let ghost = HostName("ghost")
            func sample(_ host: HostName, _ second: Int, cores: Double) -> LoadSample {
                LoadSample(host: host, at: .second(second), cpu: CPULoad(capacityCores: cores, busyCores: 1))
            }
            for witness in [h1, h2] {
                var told = sample(witness, 5, cores: 8)
                told.observations = [
                    PeerObservation(
                        host: ghost,
                        at: .second(5),
                        cpus: 1,
                        memoryBytes: 1 << 30,
                        availableBytes: nil,
                        activeVMs: [],
                        vmMemoryBytes: 0
                    )
                ]
                _ = core.handle(.sample(told, at: .second(5)))
            }
            if decides { _ = core.handle(.tick(at: .second(6), identifier: "d")) }
            for second in [10, 20, 30] {
                _ = core.handle(.sample(sample(ghost, second, cores: 8), at: .second(second)))
            }
            return core.snapshot(at: .second(30)).distrusted[ghost]
        }
        #expect(verdict(decides: false) != nil && verdict(decides: true) == nil)
    }

    @Test func `a host that contradicts itself is distrusted`() {
        for (lie, code) in [
            (
                {
                    $0.cpu = CPULoad(capacityCores: 8, busyCores: 0); $0.vms?[0].cpuCores = 6
                }, "vms-use-more"
            ),
            (
                {
                    $0.memory?.availableBytes = 31 << 30; $0.memory?.usedBytes = 20 << 30
                }, "memory-does-not-add-up"
            ),
        ] as [((inout LoadSample) -> Void, String)] {
            var fleet = ClaimedFleet(hosts: 2)
            fleet.testimony = { _, _ in nil }
            fleet.lie = lie
            fleet.run(60)
            #expect(fleet.verdict?.contains { $0.code == code } == true)
        }
    }

    @Test func `a VM that has just come or gone does not count as a false claim`() {
        var fleet = ClaimedFleet(hosts: 4)
        fleet.run(120)
        // The sample shows the VM at once; observations of the last 30 s do not.
        let came = fleet.second
        fleet.lie = { $0.vms?.append(ClaimedFleet.vm(HostName("new"))) }
        fleet.testimony = { [fleet] _, seen in
            var seen = seen
            if seen.at > .second(came + 30) { seen.activeVMs.append(ClaimedFleet.vm(HostName("new")).id) }
            _ = fleet
            return seen
        }
        fleet.run(240)
        #expect(fleet.verdict == nil && fleet.grave.isEmpty)
        #expect(fleet.planned?.vms?.count == 2)
    }

    @Test func `a host that claims another host's VMs does not distort their statistics`() {
        func statistics(lies: Bool, hasWitnesses: Bool) -> LoadStatistics {
            var fleet = ClaimedFleet(hosts: 4)
            if !hasWitnesses { fleet.testimony = { _, _ in nil } }
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
        for hasWitnesses in [false, true] {
            let (honest, lied) = (
                statistics(lies: false, hasWitnesses: hasWitnesses), statistics(lies: true, hasWitnesses: hasWitnesses)
            )
            for name in ["h2", "h3", "h4"] {
                let id = ClaimedFleet.vm(HostName(name)).id
                #expect(lied.vms[id]?.mean == honest.vms[id]?.mean && honest.vms[id]?.mean == 1)
                #expect(lied.vms[id]?.seconds == honest.vms[id]?.seconds)
            }
        }
    }

    @Test func `invented VMs are not counted in the fleet`() {
        var fleet = ClaimedFleet(hosts: 3)
        fleet.run(60)
        fleet.lie = { $0.vms?.append(ClaimedFleet.vm(HostName("nowhere"))) }
        fleet.run(120)
        let snapshot = fleet.core.snapshot(at: .second(180))
        #expect(snapshot.statistics.vms.keys.map(\.rawValue).sorted() == ["vm-h1", "vm-h2", "vm-h3"])
        #expect(fleet.planned?.vms?.map(\.name) == ["vm-h1"])
    }
}
