// SPDX-License-Identifier: Apache-2.0
@testable import Balancing
import Fleet
import Testing

/// Plans from sample histories: lasting load, VMs that stay, limits.
struct SteadyPlannerTests {
    static let threshold = PlanningPolicy(strategy: .threshold)
    let balancer = SteadyPlanner(policy: Policy(planning: threshold))

    /// 3.8 of 4 cores are busy: 95 %, and with a threshold of 80 % 0.6 cores are in excess.
    let busy = [
        vm("big", cores: 0.9, mebibytes: 8192),
        vm("lean", cores: 0.7, mebibytes: 512),
        vm("idle", cores: 0.001, mebibytes: 256),
    ]

    @Test func `the VM with the most relief per memory moves to the freest host`() throws {
        let plan = balancer.plan(
            for: snapshot([
                steady("h1", cpu: 3.8, vms: busy),
                steady("h2", cpu: 1.0, usedMebibytes: 2048),
                steady("h3", cpu: 2.0),
            ])
        )
        let move = try #require(plan.moves.first)
        #expect(plan.moves.count == 1, "one move of 0.7 cores brings h1 under 80 %")
        #expect(move.vm == VMID("lean") && move.source == HostName("h1") && move.target == HostName("h2"))
        #expect(abs(move.prediction.sourceAfter - 3.1 / 4) < 1e-9)
        #expect(abs(move.prediction.targetAfter - 1.7 / 4) < 1e-9)
        #expect(move.reason.code == "overload" && move.reason.effect?.vmName == "lean")
        #expect(move.reason.effect?.source.name == move.source && move.reason.effect?.target.name == move.target)
        #expect(plan.snapshotRevision == 7)
    }

    @Test func `the same snapshot gives the same plan`() {
        let fleet = snapshot([
            steady("h1", cpu: 4, vms: (1...9).map { vm("vm\($0)", cores: 0.4) }),
            steady("h2", cpu: 1), steady("h3", cpu: 1),
        ])
        #expect(balancer.plan(for: fleet) == balancer.plan(for: fleet))
    }

    @Test func `a balanced fleet has no moves`() {
        let plan = balancer.plan(for: snapshot([steady("h1", cpu: 2.0, vms: busy), steady("h2", cpu: 2.0)]))
        #expect(plan.moves.isEmpty && plan.refusals.isEmpty)
        #expect(plan.judgements.map(\.verdict) == [.light, .light])
    }

    @Test func `the plan waits until overload lasts`() {
        var host = steady("h1", cpu: 3.8, vms: busy)
        host.samples[0].cpu?.busyCores = 1
        host.samples[1].cpu?.busyCores = 1
        let plan = balancer.plan(for: snapshot([host, steady("h2", cpu: 1)]))
        #expect(plan.moves.isEmpty, "two of the last four samples are above, three are asked for")
        #expect(plan.judgements.first?.verdict == .calm)
    }

    @Test func `a host with a copy of a VM is not a target for it`() throws {
        // A move to or from there failed, and the rest of it waits for an operator.
        var copy = vm("lean", cores: 0, mebibytes: 512)
        copy.state = .paused
        let plan = balancer.plan(
            for: snapshot([
                steady("h1", cpu: 3.8, vms: busy),
                steady("h2", cpu: 1.0, vms: [copy]),
                steady("h3", cpu: 1.5),
            ])
        )
        let move = try #require(plan.moves.first)
        #expect(move.vm == VMID("lean") && move.target == HostName("h3"))
    }

    @Test func `a stale host is neither source nor target`() {
        var stale = steady("h1", cpu: 3.8, vms: busy)
        stale.samples = stale.samples.map { old in
            var sample = old
            sample.at = old.at - .seconds(60)
            return sample
        }
        let asSource = balancer.plan(for: snapshot([stale, steady("h2", cpu: 1)]))
        #expect(asSource.moves.isEmpty && asSource.judgements.first?.verdict == .unknown)
        var empty = stale
        empty.name = HostName("h2")
        let asTarget = balancer.plan(for: snapshot([steady("h1", cpu: 3.8, vms: busy), empty]))
        #expect(asTarget.moves.isEmpty)
        #expect(asTarget.refusals.contains { $0.vm == VMID("lean") && $0.has(.hostMode(.stale), on: ["h2"]) })
    }

    @Test func `a host without figures does not count as idle`() {
        var blind = steady("h2", cpu: 0)
        blind.samples = blind.samples.map { old in
            var sample = old
            sample.cpu = nil
            sample.failures = [SourceFailure(source: "cpu", reason: "cannot open /proc/stat")]
            return sample
        }
        let plan = balancer.plan(for: snapshot([steady("h1", cpu: 3.8, vms: busy), blind]))
        #expect(plan.moves.isEmpty)
        #expect(plan.judgements.last?.reason == .sourceFailed(source: "cpu", reason: "cannot open /proc/stat"))
    }

    @Test func `a target must have room for the VM's memory`() {
        let small = steady("h2", cpu: 1, usedMebibytes: 700, totalMebibytes: 1000)
        let plan = balancer.plan(for: snapshot([steady("h1", cpu: 3.8, vms: busy), small]))
        #expect(plan.moves.isEmpty)
        #expect(
            plan.refusals.contains {
                $0.vm == VMID("lean")
                    && $0.has(.memory(freeBytes: 300 << 20, neededBytes: 512 << 20, isMost: false), on: ["h2"])
            }
        )
    }

    @Test func `a target stays under the threshold`() {
        let plan = balancer.plan(
            for: snapshot([
                steady("h1", cpu: 3.8, vms: [vm("huge", cores: 3.5, vcpus: 4)]), steady("h2", cpu: 1),
            ])
        )
        #expect(plan.moves.isEmpty)
        #expect(plan.refusals.contains { $0.reason.obstacleCodes == ["cpu-overload"] })
    }

    @Test func `a host between the thresholds receives nothing`() {
        let plan = balancer.plan(for: snapshot([steady("h1", cpu: 3.8, vms: busy), steady("h2", cpu: 2.8)]))
        #expect(plan.moves.isEmpty)
        #expect(plan.refusals.contains { $0.has(.notLight(cpu: 0.6, memory: 0.75), on: ["h2"]) })
    }

    @Test func `a VM stays after a move and does not return`() {
        let policy = Policy(cooldown: .seconds(20), noReturn: .seconds(600), planning: Self.threshold)
        let balancer = SteadyPlanner(policy: policy)
        let fleet = [steady("h1", cpu: 3.8, vms: [vm("lean", cores: 0.7)]), steady("h2", cpu: 1)]
        let failed = PastMove(move: move("lean", "h1", "h2"), endedAt: .second(90), succeeded: false)
        let afterFailure = balancer.plan(for: snapshot(fleet, past: [failed]))
        #expect(afterFailure.moves.isEmpty)
        #expect(afterFailure.refusals.contains { $0.reason == .stays(.cooldown(secondsAgo: 11, seconds: 20)) })
        let cameFromTarget = PastMove(move: move("lean", "h2", "h1"), endedAt: .second(60), succeeded: true)
        let noReturn = balancer.plan(for: snapshot(fleet, past: [cameFromTarget]))
        #expect(noReturn.moves.isEmpty)
        #expect(noReturn.refusals.contains { $0.has(.leftLately(secondsAgo: 41, seconds: 600), on: ["h2"]) })
    }

    @Test func `samples from before a move ended do not count`() {
        let ended = PastMove(move: move("gone", "h1", "h2"), endedAt: .second(89), succeeded: true)
        let plan = balancer.plan(
            for: snapshot([steady("h1", cpu: 3.8, vms: busy), steady("h2", cpu: 1)], past: [ended])
        )
        #expect(plan.moves.isEmpty, "two samples since the move, three above the threshold are asked for")
    }

    @Test func `a host with a move in progress is left to settle`() {
        let plan = balancer.plan(
            for: snapshot(
                [steady("h1", cpu: 3.8, vms: busy), steady("h2", cpu: 1)],
                inFlight: [move("big", "h1", "h2")]
            )
        )
        #expect(plan.moves.isEmpty && plan.judgements.allSatisfy { $0.verdict == .settling })
    }

    @Test func `concurrent moves are limited per host and in total`() {
        let full = (1...8).map { vm("vm\($0)", cores: 0.4) }
        let fleet = [steady("h1", cpu: 3.3, vms: full), steady("h2", cpu: 0.2), steady("h3", cpu: 0.2)]
        var policy = Policy(cpu: Thresholds(upper: 0.3, lower: 0.25), movesPerHost: 3, movesInAll: 9)
        func firstWave() -> [PlannedMove] {
            SteadyPlanner(policy: policy).plan(for: snapshot(fleet)).moves.filter { $0.wave == 0 }
        }
        #expect((1...3).contains(firstWave().count))
        policy.movesInAll = 1
        #expect(firstWave().count == 1)
    }

    @Test func `a host whose clock is ahead is unknown`() {
        var ahead = steady("h1", cpu: 3.8, vms: busy)
        ahead.samples = ahead.samples.map { old in
            var sample = old
            sample.at = old.at + .seconds(3600)
            return sample
        }
        let judgement = balancer.plan(for: snapshot([ahead, steady("h2", cpu: 1)])).judgements.first
        #expect(judgement?.verdict == .unknown && judgement?.reason == .clockAhead(seconds: 3599))
    }

    @Test func `samples from before a gap do not make overload last`() {
        var host = steady("h1", cpu: 3.8, vms: busy)
        for index in 0..<3 { host.samples[index].at = host.samples[index].at - .seconds(3600) }
        #expect(balancer.plan(for: snapshot([host, steady("h2", cpu: 1)])).moves.isEmpty)
    }

    @Test func `a host that refused the VM is avoided for a while`() throws {
        let failed = PastMove(move: move("lean", "h1", "h2"), endedAt: .second(-300), succeeded: false)
        let forgotten = PastMove(move: move("lean", "h1", "h2"), endedAt: .second(-600), succeeded: false)
        let fleet = [steady("h1", cpu: 3.8, vms: busy), steady("h2", cpu: 0.5), steady("h3", cpu: 1)]
        #expect(try #require(balancer.plan(for: snapshot(fleet, past: [failed])).moves.first).target == HostName("h3"))
        #expect(balancer.plan(for: snapshot(Array(fleet.prefix(2)), past: [failed])).moves.map(\.vmName) == ["big"])
        #expect(
            balancer.plan(for: snapshot(Array(fleet.prefix(2)), past: [forgotten])).moves.map(\.vmName) == ["lean"]
        )
    }

    @Test func `only one move at a time uses a tunnel`() {
        let full = (1...8).map { vm("vm\($0)", cores: 0.4) }
        let policy = Policy(cpu: Thresholds(upper: 0.3, lower: 0.25), movesPerHost: 9, movesInAll: 9)
        let fleet = [steady("h1", cpu: 3.3, vms: full), steady("h2", cpu: 0.1), steady("h3", cpu: 0.1)]
        let moves = SteadyPlanner(policy: policy).plan(for: snapshot(fleet)).moves
        #expect(moves.filter { $0.wave == 0 }.map(\.target).sorted() == [HostName("h2"), HostName("h3")])
    }

    @Test func `nothing is planned on a path that leaked`() {
        var fleet = snapshot([steady("h1", cpu: 3.8, vms: busy), steady("h2", cpu: 1)])
        fleet.closedChannels = [ClosedChannel(HostPair(HostName("h2"), HostName("h1")), .ipsec)]
        let plan = balancer.plan(for: fleet)
        #expect(plan.moves.isEmpty && plan.refusals.contains { $0.has(.pathClosed, on: ["h2"]) })
    }

    @Test func `a distrusted host is neither source nor target`() {
        let overloaded = steady("h1", cpu: 3.8, vms: busy)
        #expect(
            balancer.plan(for: snapshot([overloaded, steady("h2", cpu: 0.5)])).moves.map(\.target.rawValue) == ["h2"]
        )
        for host in ["h1", "h2"] {
            var fleet = snapshot([overloaded, steady("h2", cpu: 0.5)])
            fleet.distrusted = [HostName(host): [.vmsUseMore(busyCores: 1, vmCores: 3)]]
            let plan = balancer.plan(for: fleet)
            #expect(plan.moves.isEmpty)
            let judgement = plan.judgements.first { $0.host.rawValue == host }
            #expect(judgement?.verdict == .distrusted && judgement?.reason.code == "contradicted")
        }
    }

    @Test(arguments: ["h1", "h2"]) func `a host that cannot take orders is neither source nor target`(host: String) {
        let hosts = [steady("h1", cpu: 3.8, vms: busy), steady("h2", cpu: 0.5)].map { history in
            var history = history
            guard history.name.rawValue == host else { return history }
            for index in history.samples.indices {
                history.samples[index].takesNoOrdersBecause = "no space left on device"
            }
            return history
        }
        let plan = balancer.plan(for: snapshot(hosts))
        #expect(plan.moves.isEmpty)
        let judgement = plan.judgements.first { $0.host.rawValue == host }
        #expect(judgement?.verdict == .blocked)
        #expect(judgement?.reason == .takesNoOrders(reason: "no space left on device"))
    }

    @Test func `a VM seen on two hosts is left to an operator`() {
        let twin = vm("lean", cores: 0.7)
        let plan = balancer.plan(
            for: snapshot([steady("h1", cpu: 3.8, vms: [twin]), steady("h2", cpu: 1, vms: [twin])])
        )
        let twice = RunningTwice(vm: VMID("lean"), vmName: "lean", hosts: [HostName("h1"), HostName("h2")])
        #expect(plan.moves.isEmpty && plan.refusals.contains { $0.reason == .stays(.runningTwice(twice)) })
        let fleet = [steady("h1", cpu: 1, vms: [twin]), steady("h2", cpu: 1, vms: [twin])]
        #expect(snapshot(fleet).runningTwice(policy: Policy()).map(\.hosts) == [[HostName("h1"), HostName("h2")]])
        let moving = [move("lean", "h1", "h2")]
        #expect(snapshot(fleet, inFlight: moving).runningTwice(policy: Policy()).isEmpty)
        let justMoved = PastMove(move: moving[0], endedAt: .second(97), succeeded: true)
        #expect(snapshot(fleet, past: [justMoved]).runningTwice(policy: Policy()).isEmpty)
    }

    @Test(arguments: ["h1", "h3"])
    func `a VM that another host claims, too, is moved from the host that has it by the records`(liar: String) {
        // By the order of names, the VM of the first host would count.
        let owner = liar == "h1" ? "h3" : "h1"
        let hosts = [
            steady("h1", cpu: owner == "h1" ? 3.8 : 0.5, vms: busy), steady("h2", cpu: 0.5),
            steady("h3", cpu: owner == "h3" ? 3.8 : 0.5, vms: busy),
        ]
        #expect(balancer.plan(for: snapshot(hosts)).moves.isEmpty, "not known which host has them")
        var known = snapshot(hosts)
        for (host, second) in [(owner, 0), (liar, 0), (owner, 70), (liar, 70)] {
            // The liar's earlier sample did not list them.
            let vms = host == owner || second > 0 ? busy : []
            known.custody.take(LoadSample(host: HostName(host), at: .second(second), vms: vms), at: .second(second))
        }
        let moves = balancer.plan(for: known).moves
        #expect(!moves.isEmpty && moves.allSatisfy { $0.source.rawValue == owner && $0.target.rawValue == "h2" })
    }

    @Test func `a VM whose move would relieve nothing is not moved`() {
        let plan = balancer.plan(
            for: snapshot([steady("h1", cpu: 3.8, vms: [vm("idle", cores: 0.001)]), steady("h2", cpu: 1)])
        )
        #expect(plan.moves.isEmpty)
        #expect(plan.refusals.contains { $0.has(.strategySeesNoReason(.threshold), on: ["h2"]) })
    }

    @Test func `memory overload is relieved, too`() throws {
        let plan = balancer.plan(
            for: snapshot([
                steady("h1", cpu: 1, usedMebibytes: 15500, vms: [vm("a", cores: 0.1, mebibytes: 2048)]),
                steady("h2", cpu: 1),
            ])
        )
        #expect(try #require(plan.moves.first).vm == VMID("a"))
    }

    @Test(arguments: 0..<100)
    func `no plan breaks an invariant`(seed: Int) {
        // The seed is the test's argument, so a failure names it.
        var random = SplitMix64(seed: UInt64(seed))
        let policy = Policy()
        let hosts = (1...Int.random(in: 2...8, using: &random)).map { number in
            let vms = (0..<Int.random(in: 0...12, using: &random)).map {
                vm(
                    "vm\(number)-\($0)",
                    cores: Double.random(in: 0...1, using: &random),
                    mebibytes: UInt64.random(in: 128...4096, using: &random)
                )
            }
            let used = vms.reduce(512) { $0 + ($1.memoryBytes ?? 0) / mebibyte }
            let cpu = min(4, vms.reduce(0.05) { $0 + ($1.cpuCores ?? 0) })
            return steady("h\(number)", cpu: cpu, usedMebibytes: min(used, 16384), vms: vms)
        }
        let fleet = snapshot(hosts)
        let planner = SteadyPlanner(policy: policy, improvement: 20_000)
        let (plan, model) = planner.steady(FleetModel(fleet, policy: policy), snapshot: fleet)
        #expect(PlanCheck(plan, of: model, policy: policy, planning: policy.planning).faults == [])
        let overloaded = Set(plan.judgements.filter { $0.verdict == .overloaded }.map(\.host))
        let homes = Dictionary(model.vms.map { ($0.id, $0.host) }, uniquingKeysWith: { first, _ in first })
        #expect(
            plan.moves.allSatisfy { overloaded.contains(homes[$0.vm] ?? $0.source) },
            "with 20 s of history no host gives VMs away but one whose overload lasts"
        )
        for host in overloaded {
            let spoken =
                plan.moves.contains { $0.source == host } || plan.refusals.contains { $0.host == host }
                || plan.moves.contains { $0.target == host }
            #expect(spoken, "an overloaded host is relieved, or the reason is given")
        }
    }
}
