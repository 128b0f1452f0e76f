// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A host's load as it is expected to be after moves.
struct PredictedLoad {
    let cpuCapacity: Double
    let memoryTotal: UInt64
    private(set) var cpuBusy: Double
    private(set) var memoryUsed: UInt64
    private(set) var memoryAvailable: UInt64

    /// `nil` when the sample lacks a figure.
    init?(_ sample: LoadSample) {
        guard let cpu = sample.cpu, let memory = sample.memory else { return nil }
        cpuCapacity = cpu.capacityCores
        cpuBusy = cpu.busyCores
        memoryTotal = memory.totalBytes
        memoryUsed = memory.usedBytes
        memoryAvailable = memory.availableBytes
    }

    var cpuShare: Double { cpuCapacity > 0 ? cpuBusy / cpuCapacity : 1 }
    var memoryShare: Double { memoryTotal > 0 ? Double(memoryUsed) / Double(memoryTotal) : 1 }
    /// The larger of the two shares: what is least free.
    var heaviest: Double { max(cpuShare, memoryShare) }

    mutating func remove(_ vm: VMSample) {
        cpuBusy = max(0, cpuBusy - (vm.cpuCores ?? 0))
        let memory = min(vm.memoryBytes ?? 0, memoryUsed)
        memoryUsed -= memory
        memoryAvailable += memory
    }

    mutating func add(_ vm: VMSample) {
        cpuBusy += vm.cpuCores ?? 0
        let memory = vm.memoryBytes ?? 0
        memoryUsed += memory
        memoryAvailable -= min(memory, memoryAvailable)
    }

    /// Why the VM does not fit; `nil` when it does and both shares stay at or under the upper thresholds.
    func obstacle(for vm: VMSample, policy: Policy) -> String? {
        let memory = vm.memoryBytes ?? 0
        guard memory <= memoryAvailable else {
            return "\(mebibytes(memoryAvailable)) of memory available, \(mebibytes(memory)) needed"
        }
        var after = self
        after.add(vm)
        guard after.memoryShare <= policy.memory.upper else {
            return "memory would be at \(percent(after.memoryShare)), over \(percent(policy.memory.upper))"
        }
        guard after.cpuShare <= policy.cpu.upper else {
            return "CPU would be at \(percent(after.cpuShare)), over \(percent(policy.cpu.upper))"
        }
        return nil
    }

    /// By how much the host is over its thresholds; `nil` when it is not.
    func excess(over policy: Policy) -> Excess? {
        let cpu = cpuBusy - policy.cpu.upper * cpuCapacity
        let memory = Double(memoryUsed) - policy.memory.upper * Double(memoryTotal)
        guard cpu > 0 || memory > 0 else { return nil }
        let words = [
            cpu > 0 ? "CPU \(percent(cpuShare)), \(percent(policy.cpu.upper)) allowed" : nil,
            memory > 0 ? "memory \(percent(memoryShare)), \(percent(policy.memory.upper)) allowed" : nil,
        ].compactMap(\.self).joined(separator: "; ")
        return Excess(
            cpuCores: max(0, cpu),
            memoryBytes: max(0, memory),
            cpuCapacity: cpuCapacity,
            memoryTotal: Double(memoryTotal),
            words: words
        )
    }
}

/// What a host has too much.
struct Excess {
    let cpuCores: Double
    let memoryBytes: Double
    let cpuCapacity: Double
    let memoryTotal: Double
    let words: String

    /// Whether moving `left` relieves less per byte of memory moved than moving `right`; smaller memory, then the
    /// smaller uuid, decide between equals.
    func isHelpedLess(by left: VMSample, than right: VMSample) -> Bool {
        let (worthOfLeft, worthOfRight) = (worth(of: left), worth(of: right))
        if worthOfLeft != worthOfRight { return worthOfLeft < worthOfRight }
        if left.memoryBytes != right.memoryBytes { return (left.memoryBytes ?? 0) > (right.memoryBytes ?? 0) }
        return left.id > right.id
    }

    /// A VM that takes less than this share of the host's capacity with it is not worth a migration.
    static let leastRelief = 0.01

    /// The relief of a move per byte of memory that it moves.
    private func worth(of vm: VMSample) -> Double { relief(by: vm) / max(Double(vm.memoryBytes ?? 0), 1) }

    /// The share of the host's capacity that leaves with the VM, as far as it is in excess.
    func relief(by vm: VMSample) -> Double {
        let memory = Double(vm.memoryBytes ?? 0)
        var relief = 0.0
        if cpuCores > 0, cpuCapacity > 0 { relief += min(vm.cpuCores ?? 0, cpuCores) / cpuCapacity }
        if memoryBytes > 0, memoryTotal > 0 { relief += min(memory, memoryBytes) / memoryTotal }
        return relief
    }
}
