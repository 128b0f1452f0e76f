// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Simulation

/// The required moves and non-moves of each baseline, on fleets small enough for manual calculation.
struct BaselineTests {
    /// Returns a host of 10 cores and 64 GiB; `used` cores are its own load.
    private func host(_ used: Double = 0, history: [Double] = [], cores: Double = 10) -> BaselineFleet.Host {
        BaselineFleet.Host(
            name: HostName("h"),
            cores: cores,
            memoryBytes: 64 << 30,
            ownCores: used,
            cpuHistory: history
        )
    }

    private func vm(on host: Int, cores: Double, gigabytes: Int = 4, vcpus: Int = 1) -> BaselineFleet.VM {
        BaselineFleet.VM(
            id: VMID("v"),
            name: "v",
            host: host,
            cores: cores,
            memoryBytes: UInt64(gigabytes) << 30,
            vcpus: vcpus
        )
    }

    private func moves(
        _ baseline: any Baseline,
        _ hosts: [BaselineFleet.Host],
        _ vms: [BaselineFleet.VM]
    ) -> [BaselineMove] {
        var random = SplitMix64(seed: 1)
        return baseline.moves(in: BaselineFleet(hosts: hosts, vms: vms), random: &random)
    }

    private func move(_ vm: Int, _ target: Int) -> BaselineMove { BaselineMove(vm: vm, target: target) }

    @Test func `every baseline is found by its name`() {
        let names = [
            "nothing", "threshold", "pull", "proxlb", "watcher", "cloudstack", "xen-orchestra", "hbal",
            "cost-benefit", "lr-mmt",
        ]
        #expect(Baselines.all.map(\.name) == names)
        for name in names { #expect(Baselines.named(name)?.name == name) }
        #expect(Baselines.named("none such") == nil)
    }

    @Test func `nothing makes no moves`() {
        #expect(moves(NothingBaseline(), [host(), host()], [vm(on: 0, cores: 9)]).isEmpty)
    }

    // MARK: threshold, pull

    @Test func `threshold moves to the lightest light host`() {
        let vms = [vm(on: 0, cores: 4), vm(on: 0, cores: 5)]
        #expect(
            moves(ThresholdBaseline(), [host(), host(5), host(2)], vms) == [move(1, 2)],
            "9 of 10 cores, one VM each"
        )
        #expect(
            moves(ThresholdBaseline(), [host(), host(4.2), host(4)], vms) == [move(0, 2)],
            "5 cores more are too many"
        )
    }

    @Test func `threshold needs a heavy host and a light one`() {
        let vms = [vm(on: 0, cores: 4), vm(on: 0, cores: 4)]
        #expect(moves(ThresholdBaseline(), [host(), host()], vms).isEmpty, "80 % are not above 80 %")
        #expect(moves(ThresholdBaseline(), [host(1), host(6)], vms).isEmpty, "60 % are not below 60 %")
    }

    @Test func `threshold considers memory, too`() {
        let vms = [vm(on: 0, cores: 1, gigabytes: 20), vm(on: 0, cores: 2, gigabytes: 40)]
        #expect(moves(ThresholdBaseline(), [host(), host()], vms) == [move(1, 1)])
    }

    @Test func `pull takes VMs from the heaviest host`() {
        let hosts = [host(), host(), host(1), host(5)]
        let vms = [vm(on: 0, cores: 8.5), vm(on: 1, cores: 3), vm(on: 1, cores: 6)]
        #expect(moves(PullBaseline(), hosts, vms) == [move(2, 2)], "the other light host takes no 8.5 cores")
    }

    @Test func `pull needs a light host and a heavy one`() {
        #expect(moves(PullBaseline(), [host(), host(1)], [vm(on: 0, cores: 7)]).isEmpty)
        #expect(moves(PullBaseline(), [host(7), host(6)], [vm(on: 0, cores: 2)]).isEmpty)
    }

    // MARK: baselines that even out the load

    @Test func `ProxLB moves small guests while their node is the fullest`() {
        let vms = [
            vm(on: 0, cores: 3, gigabytes: 4), vm(on: 0, cores: 2, gigabytes: 2), vm(on: 0, cores: 1, gigabytes: 1),
        ]
        #expect(moves(ProxLBBaseline(), [host(), host(2)], vms) == [move(2, 1), move(1, 1)])
        #expect(
            moves(ProxLBBaseline(method: .memory), [host(), host(2)], vms) == [move(2, 1)],
            "7 GiB of 64 are 11 points, 6 against 1 are 8"
        )
    }

    @Test func `ProxLB leaves differences within ten points`() {
        #expect(moves(ProxLBBaseline(), [host(), host(5.1)], [vm(on: 0, cores: 5), vm(on: 0, cores: 1)]).isEmpty)
        let one = [vm(on: 0, cores: 5)]
        #expect(
            moves(ProxLBBaseline(), [host(1), host(4)], one).isEmpty,
            "the target would be fuller than the source was"
        )
    }

    @Test func `Watcher takes the best migrations until below the threshold`() {
        let vms = [vm(on: 0, cores: 1), vm(on: 0, cores: 4), vm(on: 0, cores: 3)]
        #expect(moves(WatcherBaseline(), [host(), host()], vms) == [move(1, 1)])
    }

    @Test func `Watcher is idle below the threshold`() {
        let hosts = [host(4.5), host(3.5)]
        let vms = [vm(on: 0, cores: 0.5)]
        #expect(moves(WatcherBaseline(), hosts, vms).isEmpty, "deviation 0.075")
        #expect(moves(WatcherBaseline(threshold: 0.05), hosts, vms) == [move(0, 1)])
    }

    @Test func `CloudStack acts above six tenths of the mean`() {
        let vms = [vm(on: 0, cores: 4), vm(on: 0, cores: 4)]
        #expect(moves(CloudStackBaseline(), [host(), host()], vms) == [move(0, 1)], "deviation 0.4, mean 0.4")
        #expect(moves(CloudStackBaseline(), [host(), host(2.1)], vms).isEmpty, "deviation 0.295, mean 0.505")
        #expect(moves(CloudStackBaseline(imbalance: 0.6), [host(), host(2.1)], vms) == [move(0, 1)])
        #expect(moves(CloudStackBaseline(mostMigrations: 0), [host(), host()], vms).isEmpty)
    }

    @Test func `CloudStack can count allocated resources`() {
        let vms = [vm(on: 0, cores: 0, vcpus: 8), vm(on: 0, cores: 0, vcpus: 4)]
        #expect(moves(CloudStackBaseline(metric: .cpuAllocated), [host(), host()], vms) == [move(1, 1)])
        #expect(moves(CloudStackBaseline(), [host(), host()], vms).isEmpty)
    }

    @Test func `hbal descends until the load is even`() {
        let vms = (0..<4).map { _ in vm(on: 0, cores: 1, vcpus: 2) }
        #expect(moves(HbalBaseline(), [host(), host()], vms) == [move(0, 1), move(1, 1)])
        let even = [vm(on: 0, cores: 1), vm(on: 1, cores: 1)]
        #expect(moves(HbalBaseline(), [host(), host()], even).isEmpty)
    }

    @Test func `hbal requires a gain of a hundredth if the score is below a tenth`() {
        func pair(_ cores: Double) -> [BaselineFleet.VM] {
            [vm(on: 0, cores: cores, gigabytes: 0, vcpus: 0), vm(on: 0, cores: cores, gigabytes: 0, vcpus: 0)]
        }
        #expect(moves(HbalBaseline(), [host(), host()], pair(0.09)).isEmpty, "the score would fall by 0.009")
        #expect(moves(HbalBaseline(), [host(), host()], pair(0.11)) == [move(0, 1)])
    }

    // MARK: Xen Orchestra

    @Test func `Xen Orchestra relieves an overloaded host`() {
        let vms = (0..<3).map { _ in vm(on: 0, cores: 3) }
        let baseline = XenOrchestraBaseline()
        #expect(
            moves(baseline, [host(), host(1)], vms) == [move(0, 1)],
            "a second one would put the target above 58.5 %"
        )
        #expect(moves(baseline, [host(), host(3)], vms).isEmpty, "so would the first here")
    }

    @Test func `Xen Orchestra does not react to a single minute`() {
        let vms = (0..<3).map { _ in vm(on: 0, cores: 3) }
        let hosts = [host(history: [Double](repeating: 0.1, count: 30)), host(1)]
        #expect(
            moves(XenOrchestraBaseline(isPreventive: false), hosts, vms).isEmpty,
            "0.75 * 90 % + 0.25 * 10 % are 70 %"
        )
    }

    @Test func `Xen Orchestra prevents unevenness`() {
        let hosts = [host(2.5), host(1), host(1), host(1)]
        let vms = [vm(on: 0, cores: 1.5), vm(on: 0, cores: 1.5)]
        #expect(moves(XenOrchestraBaseline(), hosts, vms) == [move(0, 1), move(1, 2)])
        #expect(moves(XenOrchestraBaseline(isPreventive: false), hosts, vms).isEmpty)
        let low = [host(1), host(0), host(0), host(0)]
        #expect(moves(XenOrchestraBaseline(), low, [vm(on: 0, cores: 1)]).isEmpty, "below 25 % of CPU nothing matters")
    }

    // MARK: cost and benefit

    @Test func `cost-benefit makes moves that are worth their cost`() {
        let vms = [vm(on: 0, cores: 4), vm(on: 0, cores: 4)]
        #expect(moves(CostBenefitBaseline(), [host(), host()], vms) == [move(0, 1)])
        #expect(moves(CostBenefitBaseline(), [host(1), host()], [vm(on: 0, cores: 0.5)]).isEmpty, "priority 4")
    }

    @Test func `cost-benefit leaves moves that cost too much`() {
        let hosts = [host(7.9), host()]
        let small = vm(on: 0, cores: 0.1, gigabytes: 8)
        #expect(moves(CostBenefitBaseline(), hosts, [small]) == [move(0, 1)], "30 core seconds gained, 14 spent")
        let large = vm(on: 0, cores: 0.1, gigabytes: 32)
        #expect(moves(CostBenefitBaseline(), hosts, [large]).isEmpty, "30 core seconds gained, 55 spent")
    }

    @Test func `cost-benefit leaves an imbalance that may reverse`() {
        let vms = [vm(on: 0, cores: 4), vm(on: 0, cores: 4)]
        let turned = [host(history: [0.1, 0.1]), host(history: [0.9, 0.9])]
        #expect(moves(CostBenefitBaseline(), turned, vms).isEmpty)
    }

    // MARK: local regression

    private let rising = (0..<10).map { 0.5 + 0.04 * Double($0) }

    @Test func `local regression moves the smallest VMs of a host about to be overloaded`() {
        let vms = [vm(on: 0, cores: 6.6), vm(on: 0, cores: 2, gigabytes: 2)]
        #expect(
            moves(LocalRegressionBaseline(), [host(history: rising), host()], vms) == [move(1, 1)],
            "1.2 * 90 % to come"
        )
        let flat = [Double](repeating: 0.8, count: 10)
        #expect(moves(LocalRegressionBaseline(), [host(history: flat), host()], vms).isEmpty, "1.2 * 80 %")
        let falling = [Double](rising.reversed())
        #expect(moves(LocalRegressionBaseline(), [host(history: falling), host()], vms).isEmpty)
    }

    @Test func `local regression does not overload a target`() {
        let vms = [vm(on: 0, cores: 6.6), vm(on: 0, cores: 2, gigabytes: 2)]
        let hosts = [host(history: rising), host(6), host(4, cores: 20), host(4)]
        #expect(moves(LocalRegressionBaseline(), hosts, vms) == [move(1, 2)], "the largest host's power rises least")
        #expect(moves(LocalRegressionBaseline(), [host(history: rising), host(6)], vms).isEmpty, "80 % are above 70 %")
    }

    @Test func `local regression falls back on a threshold`() {
        let vms = [vm(on: 0, cores: 5), vm(on: 0, cores: 2.5, gigabytes: 2)]
        #expect(moves(LocalRegressionBaseline(), [host(history: [0.1, 0.2]), host()], vms) == [move(1, 1)])
        #expect(moves(LocalRegressionBaseline(), [host(), host()], [vm(on: 0, cores: 7)]).isEmpty)
    }
}

/// Properties of every baseline on any fleet.
struct BaselinePropertyTests {
    private func fleet(_ random: inout SplitMix64) -> BaselineFleet {
        let hosts = (0..<random.below(12)).map { index in
            BaselineFleet.Host(
                name: HostName("h\(index)"),
                cores: Double([0, 4, 16, 16, 64][random.below(5)]),
                memoryBytes: UInt64([0, 16, 64, 64, 256][random.below(5)]) << 30,
                ownCores: Double(random.below(10)) / 10,
                ownMemoryBytes: UInt64(random.below(4)) << 30,
                cpuHistory: (0..<random.below(40)).map { _ in Double(random.below(101)) / 100 },
                isUsable: random.below(8) != 0
            )
        }
        let vms = (0..<random.below(120)).map { index in
            let vcpus = 1 << random.below(4)
            return BaselineFleet.VM(
                id: VMID("\(index)"),
                name: "vm\(index)",
                // Sometimes on a host that does not exist.
                host: min(random.below(hosts.count + 1), random.below(hosts.count + 1)),
                cores: random.below(50) == 0 ? .nan : Double(vcpus * random.below(100)) / 100,
                memoryBytes: UInt64(vcpus) << (28 + random.below(4)),
                vcpus: vcpus,
                mayMove: random.below(10) != 0
            )
        }
        return BaselineFleet(hosts: hosts, vms: vms)
    }

    @Test(arguments: Baselines.all.map(\.name))
    func `every move is legal`(name: String) throws {
        let baseline = try #require(Baselines.named(name))
        for seed in UInt64(1)...200 {
            var random = SplitMix64(seed: seed)
            var fleet = fleet(&random)
            var again = random
            let moves = baseline.moves(in: fleet, random: &random)
            #expect(moves == baseline.moves(in: fleet, random: &again), "the same decision twice, seed \(seed)")
            var moved: Set<Int> = []
            for (step, move) in moves.enumerated() {
                let comment: Comment = "seed \(seed), step \(step), VM \(move.vm) to host \(move.target)"
                #expect(fleet.mayLeave(move.vm), comment)
                #expect(fleet.takes(move.vm, move.target), comment)
                #expect(moved.insert(move.vm).inserted, comment)
                fleet.move(move.vm, to: move.target)
            }
        }
    }

    @Test func `the search misses no best move`() {
        for seed in UInt64(1)...200 {
            var random = SplitMix64(seed: seed)
            let fleet = fleet(&random)
            let spread = Spread(fleet, lanes: [Spread.cpu, Spread.memory, Spread.vcpus])
            func score(_ moments: Spread.Moments) -> Double { (0..<3).reduce(0) { $0 + moments.deviation(of: $1) } }
            var least = score(spread.moments)
            for vm in fleet.vms.indices where fleet.mayLeave(vm) {
                for target in fleet.hosts.indices where fleet.takes(vm, target) {
                    least = min(least, score(spread.moments(moving: vm, to: target)))
                }
            }
            let best = spread.best(of: fleet.vms.indices, below: score(spread.moments), value: score)
            #expect(abs((best?.value ?? least) - least) < 1e-9, "seed \(seed)")
        }
    }

    @Test func `running sums agree with a fresh count`() {
        for seed in UInt64(1)...50 {
            var random = SplitMix64(seed: seed)
            var spread = Spread(fleet(&random), lanes: [Spread.cpu])
            while let best = spread.best(
                of: spread.plan.fleet.vms.indices,
                below: spread.moments.deviation(of: Spread.cpu),
                value: { $0.deviation(of: Spread.cpu) }
            ) {
                spread.move(best.vm, to: best.target)
            }
            let moved = spread.plan.fleet
            let shares = moved.activeHosts.map(moved.cpuShare)
            let mean = shares.reduce(0, +) / Double(max(shares.count, 1))
            let variance = shares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(shares.count, 1))
            #expect(abs(spread.moments.deviation(of: Spread.cpu) - variance.squareRoot()) < 1e-6, "seed \(seed)")
            let fresh = BaselineFleet(hosts: moved.hosts, vms: moved.vms)
            #expect(fresh.usedMemory == moved.usedMemory, "seed \(seed)")
        }
    }
}
