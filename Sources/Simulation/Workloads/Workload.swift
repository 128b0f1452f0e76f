// SPDX-License-Identifier: Apache-2.0

/// What every VM of a simulated fleet asks for over time.
public struct Workload: Sendable, Equatable {
    /// The time for which each value of a VM's demand holds.
    public var step: Duration
    public var vms: [VMLoad]
    public init(step: Duration, vms: [VMLoad]) {
        self.step = step
        self.vms = vms
    }
}

public struct VMLoad: Sendable, Equatable {
    public var name: String
    public var vcpus: Int
    public var memoryBytes: UInt64
    public var dirtyBytesPerSecond: Double
    public var workingSetBytes: UInt64
    /// Share of its VCPUs that it wants, 0 to 1, for each step.
    public var demand: [Float]
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

    /// Cores that it wants in a step.
    public func cores(atStep step: Int) -> Double {
        guard step >= existsFrom, existsUntil.map({ step < $0 }) ?? true, !demand.isEmpty else { return 0 }
        return Double(demand[step % demand.count]) * Double(vcpus)
    }
}
