// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The demand of every VM of a simulated fleet over time.
public struct Workload: Sendable, Equatable {
    /// How long each value of a VM's demand lasts.
    public var step: Duration
    public var vms: [VMLoad]
    public init(step: Duration, vms: [VMLoad]) {
        self.step = step
        self.vms = vms
    }

    /// Returns the mean demand of all VMs over the steps, in cores.
    public func meanCores(over steps: Int) -> Double {
        guard steps > 0 else { return 0 }
        var sum = 0.0
        for vm in vms { for step in 0..<steps { sum += vm.cores(atStep: step) } }
        return sum / Double(steps)
    }

    /// Returns the same load for another number of VMs.
    ///
    /// Fewer VMs are drawn with the seed. For more VMs, traces are repeated from a random position.
    public func scaled(to count: Int, seed: UInt64) -> Workload {
        guard !vms.isEmpty else { return self }
        var random = SplitMix64(seed: seed)
        let shuffled = vms.shuffled(using: &random)
        let scaled = (0..<max(0, count)).map { number in
            var vm = shuffled[number % shuffled.count]
            guard number >= shuffled.count else { return vm }
            vm.name += "-\(number / shuffled.count + 1)"
            let shift = vm.demand.isEmpty ? 0 : random.below(vm.demand.count)
            vm.demand = Array(vm.demand[shift...] + vm.demand[..<shift])
            return vm
        }
        return Workload(step: step, vms: scaled)
    }
}

/// The demand of one VM.
public struct VMLoad: Sendable, Equatable {
    public var name: String
    public var vcpus: Int
    public var memoryBytes: UInt64
    /// The rate at which the guest dirties memory when all VCPUs are busy; proportional to their use.
    public var dirtyBytesPerSecond: Double
    /// Memory that the guest dirties repeatedly; limits the size of each iteration after the first.
    public var workingSetBytes: UInt64
    /// Demand in each step, as a share of its VCPUs, 0 to 1; repeats after the last step.
    public var demand: [Float]
    /// The steps at which it is created and removed.
    public var existsFrom: Int
    public var existsUntil: Int?

    public init(
        name: String,
        vcpus: Int,
        memoryBytes: UInt64,
        dirtyBytesPerSecond: Double,
        workingSetBytes: UInt64,
        demand: [Float],
        existsFrom: Int = 0,
        existsUntil: Int? = nil
    ) {
        self.name = name
        self.vcpus = vcpus
        self.memoryBytes = memoryBytes
        self.dirtyBytesPerSecond = dirtyBytesPerSecond
        self.workingSetBytes = workingSetBytes
        self.demand = demand
        self.existsFrom = existsFrom
        self.existsUntil = existsUntil
    }

    /// Creates a VM of random size: 1, 2 or 4 VCPUs (3, 5 and 2 of 10), with 2 GiB of memory for each.
    ///
    /// The guest dirties 2 to 60 MB/s, mostly low rates, in a working set of 5 to 25 % of its memory.
    init(name: String, demand: [Float], random: inout SplitMix64, vcpus: Int? = nil, memoryBytes: UInt64? = nil) {
        let size = random.below(10)
        let vcpus = vcpus ?? (size < 3 ? 1 : size < 8 ? 2 : 4)
        let memory = memoryBytes ?? UInt64(vcpus) << 31
        let draw = random.unit
        self.init(
            name: name,
            vcpus: vcpus,
            memoryBytes: memory,
            dirtyBytesPerSecond: 2e6 + 58e6 * draw * draw,
            workingSetBytes: UInt64(Double(memory) * (0.05 + 0.2 * random.unit)),
            demand: demand
        )
    }

    /// Returns the VM's demand in a step, in cores; 0 while it does not exist.
    public func cores(atStep step: Int) -> Double {
        guard step >= existsFrom, existsUntil.map({ step < $0 }) ?? true, !demand.isEmpty else { return 0 }
        return Double(demand[step % demand.count]) * Double(vcpus)
    }
}

extension SplitMix64 {
    /// Returns a random number from 0 to below 1.
    var unit: Double { mutating get { Double(next() >> 11) / Double(1 << 53) } }
}
