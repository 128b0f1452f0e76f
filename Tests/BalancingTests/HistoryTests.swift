// SPDX-License-Identifier: Apache-2.0
@testable import Balancing
import Fleet
import Testing

/// Evaluation of sample histories: windows, hysteresis, forecast, demand, thinning.
struct HistoryTests {
    /// Returns a host of 4 cores, sampled every 30 s until second 3600, with one VM that causes its whole load.
    private func history(pressure: Double? = nil, waiting: Double? = nil, cpu: (Int) -> Double) -> HostHistory {
        var history = HostHistory(name: HostName("h1"), samples: [])
        for second in stride(from: 1800, through: 3600, by: 30) {
            let used = cpu(second)
            var one = sample("h1", at: second, cpu: used, vms: [vm("a", cores: used, vcpus: 8)])
            one.pressure = pressure.map { Pressure(cpu: $0, memory: nil, io: nil) }
            one.vms?[0].waitingCores = waiting
            history.append(one, policy: Policy())
        }
        return history
    }

    private func verdict(_ history: HostHistory) -> Judgement.Verdict {
        let snapshot = FleetSnapshot(revision: 1, at: .second(3600), hosts: [history])
        return history.judgement(in: snapshot, policy: Policy()).verdict
    }

    private func model(_ history: HostHistory, over part: HistoryWindow = .both) -> FleetModel {
        let snapshot = FleetSnapshot(revision: 1, at: .second(3600), hosts: [history])
        return FleetModel(snapshot, policy: Policy(), over: part)
    }

    @Test func `both windows must agree on overload`() {
        #expect(verdict(history { $0 > 3500 ? 3.6 : 1 }) == .calm, "100 s of 30 minutes are no lasting overload")
        #expect(verdict(history { $0 > 3300 ? 3.6 : 1 }) == .overloaded, "five minutes are")
        #expect(verdict(history { $0 > 3000 && $0 < 3500 ? 3.6 : 1 }) != .overloaded, "a past overload does not count")
    }

    @Test func `overload ends only well below the threshold`() {
        #expect(verdict(history { $0 > 3480 ? 3.1 : 3.6 }) == .overloaded, "77.5 %, the release is at 75 %")
        #expect(verdict(history { $0 > 3480 ? 2.9 : 3.6 }) != .overloaded)
        #expect(verdict(history { _ in 3.1 }) != .overloaded, "without a past it never was")
    }

    @Test func `a rise counts at once, and a fall only when it lasts`() throws {
        let risen = try #require(model(history { $0 > 3500 ? 3 : 1 }).vms.first?.demand.cpuCores)
        #expect(abs(risen - 3) < 0.01)
        let fallen = try #require(model(history { $0 > 3500 ? 1 : 3 }).vms.first?.demand.cpuCores)
        #expect(fallen > 2.5 && fallen < 3)
        let now = try #require(model(history { $0 > 3500 ? 1 : 3 }, over: .short).vms.first?.demand.cpuCores)
        #expect(abs(now - 1) < 0.01)
    }

    @Test func `a trend is extrapolated, and random variation is not`() throws {
        // Half a core in half an hour: a sixth of a core more in ten minutes.
        let rising = try #require(model(history { 1 + Double($0 - 1800) / 3600 }).vms.first)
        #expect(abs(rising.peakCores - rising.demand.cpuCores - 600.0 / 3600) < 0.01)
        var random = SplitMix64(seed: 5)
        let noisy = try #require(model(history { _ in 1 + Double.random(in: 0...1, using: &random) }).vms.first)
        #expect(noisy.peakCores == noisy.demand.cpuCores)
    }

    @Test func `VMs on a saturated host want more than they get`() throws {
        func demand(_ history: HostHistory) throws -> Double {
            try #require(model(history).vms.first?.demand.cpuCores)
        }
        #expect(abs(try demand(history(pressure: 40) { _ in 3.9 }) - 3.9 / 0.6) < 0.01)
        #expect(abs(try demand(history(pressure: 95) { _ in 3.9 }) - 3.9 / 0.5) < 0.01, "no more than twice")
        #expect(abs(try demand(history(pressure: 40) { _ in 2 }) - 2) < 0.01, "half the host is free")
        #expect(abs(try demand(history { _ in 3.96 }) - 3.96 / 0.8) < 0.01, "if the kernel does not report pressure")
    }

    /// As in samples of the lab: VCPUs that fall behind wait all the time, however little they lack.
    @Test(arguments: [
        (used: 3.9, waited: 1.0, wanted: 4.9), (used: 3.9, waited: 30, wanted: 7.8), (used: 3, waited: 3, wanted: 3),
    ])
    func `VMs of a busy host want their waiting time too, up to twice their usage`(
        used: Double,
        waited: Double,
        wanted: Double
    ) throws {
        for pressure in [nil, 95.0] {
            let history = history(pressure: pressure, waiting: waited) { _ in used }
            for part in HistoryWindow.allCases {
                let demand = try #require(model(history, over: part).vms.first?.demand.cpuCores)
                #expect(abs(demand - wanted) < 0.01, "\(part), \(String(describing: pressure))")
            }
            let mean = try #require(LoadStatistics([history]).vms[VMID("a")]?.mean)
            #expect(abs(mean - wanted) < 0.01, "the statistics, \(String(describing: pressure))")
        }
    }

    @Test func `half an hour of samples is kept, thinned`() {
        var history = HostHistory(name: HostName("h1"), samples: [])
        for second in stride(from: 5, through: 7200, by: 5) {
            history.append(sample("h1", at: second, cpu: 1), policy: Policy())
        }
        history.append(sample("h1", at: 100, cpu: 4), policy: Policy())
        #expect(history.samples.count < 60, "360 were sampled in the last half hour")
        #expect((history.samples.first?.at ?? .second(0)) <= .second(7200 - 1740))
        #expect(history.latest?.at == .second(7200), "an old sample is no news")
        let window = history.settledWindow(since: nil, policy: Policy())
        #expect(window.samples.count == history.samples.count, "a minute between thinned samples is no silence")
    }

    @Test func `lasting load counts, and a brief change does not`() {
        /// h1's VMs use `now` cores in the last 90 s and `before` earlier; h2 uses 1.2 cores of its own.
        func moves(before: Double, now: Double) -> [PlannedMove] {
            var hosts = [
                HostHistory(name: HostName("h1"), samples: []), HostHistory(name: HostName("h2"), samples: []),
            ]
            for second in stride(from: 1800, through: 3600, by: 30) {
                let cores = second > 3500 ? now : before
                let vms = (1...4).map { vm("vm\($0)", cores: cores / 4, mebibytes: 512, vcpus: 1) }
                hosts[0].append(sample("h1", at: second, cpu: cores, vms: vms), policy: Policy())
                hosts[1].append(sample("h2", at: second, cpu: 1.2), policy: Policy())
            }
            let snapshot = FleetSnapshot(revision: 1, at: .second(3600), hosts: hosts)
            let policy = Policy(planning: PlanningPolicy(weights: BalanceWeights(vcpus: 0)))
            return SteadyPlanner(policy: policy, improvement: 20_000).plan(for: snapshot).moves
        }
        #expect(moves(before: 1, now: 3.5).map(\.reason) == [], "half an hour of calm outweighs a minute")
        #expect(!moves(before: 3.5, now: 3.5).isEmpty, "a lasting load is expected to last")
        #expect(!moves(before: 3.5, now: 2.8).isEmpty, "a moment's calm does not end it")
        #expect(moves(before: 2.8, now: 2.8).map(\.reason) == [], "no VM lacks anything, nor is expected to")
    }

    @Test func `measured bandwidths and dirty rates of past moves are used`() throws {
        var moves = [100.0, 300].map { speed in
            PastMove(move: move("a", "h2", "h1"), endedAt: .second(10), succeeded: true, bytesPerSecond: speed * 1e6)
        }
        moves[1].dirtyBytesPerSecond = 5e6
        moves[1].endedAt = .second(20)
        let hosts = [steady("h1", cpu: 1, vms: [vm("a", cores: 0.4)]), steady("h2", cpu: 1)]
        let model = FleetModel(snapshot(hosts, past: moves), policy: Policy())
        #expect(model.bandwidths == [Path(source: HostName("h2"), target: HostName("h1")): 2e8])
        #expect(model.vms.first?.dirtyBytesPerSecond == 5e6)
    }

    @Test func `the policy's rules and maintenance apply to the running fleet`() {
        let hosts = [
            steady("h1", cpu: 1, vms: [vm("a", cores: 0.4), vm("b", cores: 0.4)]), steady("h2", cpu: 0.5),
            steady("h3", cpu: 0.5, vms: [vm("c", cores: 0.3)]),
        ]
        let apart = PlacementRule(name: "two", kind: .apart, vms: [VMID("a"), VMID("b")])
        let policy = Policy(rules: [apart], maintenance: [HostName("h3")])
        let plan = SteadyPlanner(policy: policy, improvement: 20_000).plan(for: snapshot(hosts))
        #expect(plan.moves.contains { $0.purpose == .drain && $0.vmName == "c" })
        #expect(plan.moves.contains { $0.purpose == .rule && ["a", "b"].contains($0.vmName) })
        #expect(plan.after.violations == 0)
    }
}
