// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Simulation

/// Loads for fleets of any size.
struct WorkloadTests {
    private let five = Workload(
        step: .seconds(300),
        vms: (1...5).map { number in
            var vm = SmallWorld.vm(number)
            vm.demand = (0..<10).map { Float($0 + number) / 20 }
            return vm
        }
    )

    @Test func `scaling down draws each VM at most once`() {
        let three = five.scaled(to: 3, seed: 1)
        #expect(three.vms.count == 3)
        #expect(Set(three.vms.map(\.name)).count == 3)
        #expect(three.vms.allSatisfy { vm in five.vms.contains(vm) })
        #expect(three == five.scaled(to: 3, seed: 1))
        #expect((UInt64(2)...20).contains { five.scaled(to: 3, seed: $0) != three })
        #expect(five.scaled(to: 0, seed: 1).vms.isEmpty)
    }

    @Test func `scaling up repeats the traces from another time of their day`() {
        let many = five.scaled(to: 17, seed: 1)
        #expect(many == five.scaled(to: 17, seed: 1))
        #expect(many.vms.count == 17)
        #expect(Set(many.vms.map(\.name)).count == 17)
        for vm in many.vms {
            let original = five.vms.first { vm.name == $0.name || vm.name.hasPrefix($0.name + "-") }
            #expect(original?.demand.sorted() == vm.demand.sorted())
            #expect(original?.memoryBytes == vm.memoryBytes)
        }
        #expect(Set(many.vms.map(\.demand)).count > 5)
    }

    @Test func `an empty workload cannot be scaled`() {
        let none = Workload(step: .seconds(300), vms: [])
        #expect(none.scaled(to: 5, seed: 1) == none)
        #expect(none.meanCores(over: 5) == 0 && five.meanCores(over: 0) == 0)
    }

    @Test func `demand repeats after its end and is zero while the VM does not exist`() {
        var vm = SmallWorld.vm(1, vcpus: 4)
        vm.demand = [0.25, 0.5]
        #expect((0..<5).map { vm.cores(atStep: $0) } == [1, 2, 1, 2, 1])
        vm.existsFrom = 1
        vm.existsUntil = 3
        #expect((0..<5).map { vm.cores(atStep: $0) } == [0, 2, 1, 0, 0])
    }

    @Test func `VMs are named after their traces, in order`() throws {
        let traces = try ["b", "a"].map { try Trace(name: $0, text: "10\n20") }
        let workload = Workload(traces, seed: 1)
        #expect(workload.vms.map(\.name) == ["a", "b"])
        #expect(workload == Workload(traces.reversed(), seed: 1), "the order in which files are found does not matter")
        #expect(workload.vms.allSatisfy { [1, 2, 4].contains($0.vcpus) && $0.memoryBytes == UInt64($0.vcpus) << 31 })
    }
}

struct LoadPatternTests {
    private let steps = 288

    /// Returns the mean share of its VCPUs that a VM wants while it exists.
    private func mean(_ workload: Workload) -> Double {
        var (sum, count) = (0.0, 0.0)
        for vm in workload.vms {
            for step in vm.existsFrom..<min(vm.existsUntil ?? steps, steps) {
                sum += vm.cores(atStep: step)
                count += Double(vm.vcpus)
            }
        }
        return sum / count
    }

    @Test(arguments: LoadPattern.allCases)
    func `a pattern depends only on its seed and is busy enough`(_ pattern: LoadPattern) {
        let workload = Workload.generated(pattern, vms: 500, steps: steps, seed: 3)
        #expect(workload == .generated(pattern, vms: 500, steps: steps, seed: 3))
        #expect(workload != .generated(pattern, vms: 500, steps: steps, seed: 4))
        #expect(workload.vms.count == 500 && Set(workload.vms.map(\.name)).count == 500)
        #expect(workload.vms.allSatisfy { $0.demand.count == steps && $0.demand.allSatisfy { (0...1).contains($0) } })
        #expect((0.25...0.45).contains(mean(workload)), "\(mean(workload))")
    }

    @Test func `VMs come and go only in the churn and mixed patterns`() {
        for pattern in LoadPattern.allCases {
            let vms = Workload.generated(pattern, vms: 200, steps: steps, seed: 5).vms
            let births = vms.count { $0.existsFrom > 0 }
            let deaths = vms.count { $0.existsUntil != nil }
            switch pattern {
            case .churn: #expect((60...140).contains(births) && deaths > 60, "\(births) births, \(deaths) deaths")
            case .mixed: #expect(births > 5 && deaths > 5)
            default: #expect(births == 0 && deaths == 0, "\(pattern)")
            }
            #expect(vms.allSatisfy { $0.existsFrom < min($0.existsUntil ?? steps, steps) })
        }
    }

    @Test func `VMs are created and removed in a world`() throws {
        let workload = Workload.generated(.churn, vms: 20, steps: 12, seed: 1)
        var settings = FleetBuilder(hosts: 3, sampleInterval: .seconds(300), decisionInterval: .seconds(600), seed: 1)
            .settings(for: workload, policy: Policy(), duration: .seconds(3600))
        settings.baseline = NothingBaseline()
        let world = World(settings)
        for step in 0..<12 {
            try world.run(until: Double(300 * step) + 150)
            let alive = workload.vms.indices.filter {
                workload.vms[$0].existsFrom <= step && step < workload.vms[$0].existsUntil ?? 12
            }
            #expect(alive == workload.vms.indices.filter { world.places(of: $0).count == 1 }, "step \(step)")
        }
        #expect(world.measures.notPlaced == 0)
    }

    @Test func `a flash crowd arrives suddenly and fades`() {
        let workload = Workload.generated(.flashCrowd, vms: 300, steps: steps, seed: 1)
        let totals = (0..<steps).map { step in workload.vms.reduce(0) { $0 + $1.cores(atStep: step) } }
        let jumps = zip(totals, totals.dropFirst()).map { $1 / $0 }
        let at = jumps.indices.max { jumps[$0] < jumps[$1] } ?? 0
        #expect(jumps[at] > 1.5)
        #expect((steps / 4 - 1...steps / 2).contains(at))
        #expect(totals[steps - 1] < totals[at + 1] * 0.8)
    }

    @Test func `a day has a peak and a trough`() {
        let workload = Workload.generated(.diurnal, vms: 300, steps: steps, seed: 1)
        let totals = (0..<steps).map { step in workload.vms.reduce(0) { $0 + $1.cores(atStep: step) } }
        #expect((totals.max() ?? 0) > 1.5 * (totals.min() ?? 0))
    }
}
