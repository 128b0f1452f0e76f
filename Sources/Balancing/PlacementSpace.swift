// SPDX-License-Identifier: Apache-2.0
import Fleet

/// One figure for each resource, in the lanes of `Lane`.
typealias Vector = SIMD8<Double>

/// The lanes of a `Vector`.
enum Lane {
    static let cpu = 0
    static let memory = 1
    static let network = 2
    static let disk = 3
    static let vcpus = 4
    /// The highest CPU demand that is forecast.
    static let peak = 5
    /// The variance of CPU; variances of independent loads add up.
    static let variance = 6
    /// Present CPU demand.
    static let present = 7
}

/// A fleet in the form that the search needs: hosts and units by number, figures as vectors, rules as tables.
///
/// It does not change during a search; `Placement` holds the host of each unit.
struct PlacementSpace: Sendable {
    /// VMs that move together: one VM, or all of a whole `together` rule.
    struct Unit: Sendable {
        /// Numbers in `FleetModel.vms`.
        var members: [Int]
        var home: Int
        var demand: Vector
        var memoryBytes: Double
        /// The cost of its move on an unmeasured path, in seconds of migration.
        var seconds: Double
        /// Its number in `classes` and `allowed`.
        var placementClass: Int
        /// Numbers of the `apart` rules that apply to it.
        var apart: [Int]
        /// Why it must not move; `nil`: it may.
        var staysBecause: StayReason?
        var avoids: [Int: Obstacle]
        var preferredHosts: Set<Int>?
        /// Whether its home breaks a rule or is to be emptied.
        var mustLeave: Bool
    }

    let model: FleetModel
    let policy: Policy
    let planning: PlanningPolicy
    let hostNumbers: [HostName: Int]
    /// The unit of each VM.
    let unitOfVM: [Int]
    let units: [Unit]
    /// The use of each host in addition to its units.
    let own: [Vector]
    /// 1 / capacity; 0 where there is none.
    let inverse: [Vector]
    /// Upper bounds of the use; infinite where a resource may be contended.
    let limit: [Vector]
    /// Whether the host counts in the balance and may take VMs.
    let isActive: [Bool]
    let classes: [PlacementClass]
    /// For each placement class, whether the host may take its units.
    let allowed: [[Bool]]
    /// Closed paths: the target's number in the upper half, the source's in the lower.
    let closed: Set<Int>
    /// Measured bandwidths of paths in bytes per second, with the same numbers.
    let bandwidths: [Int: Double]
    /// The highest bandwidth of any path, which bounds a unit's time from below.
    private let fastest: Double
    let weights: Vector
    let activeCount: Int

    init(_ model: FleetModel, policy: Policy, planning: PlanningPolicy) {
        self.model = model
        self.policy = policy
        self.planning = planning
        let numbers = Dictionary(
            model.hosts.enumerated().map { ($1.name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        hostNumbers = numbers
        var own = model.hosts.map {
            Vector($0.own, vcpus: 0, peak: $0.own.cpuCores, variance: 0, present: $0.own.cpuCores)
        }
        Self.book(model.movesInFlight, of: model, numbers: numbers, in: &own)
        self.own = own
        inverse = model.hosts.map(Self.inverseCapacity)
        limit = model.hosts.map { Self.limit(of: $0, planning: planning) }
        isActive = model.hosts.map { $0.mode == .active }
        activeCount = isActive.count { $0 }
        closed = Set(
            model.closedPaths.compactMap { path in
                guard let source = numbers[path.source], let target = numbers[path.target] else { return nil }
                return target << 32 | source
            }
        )
        var bandwidths: [Int: Double] = [:]
        for (path, bandwidth) in model.bandwidths {
            guard let source = numbers[path.source], let target = numbers[path.target], bandwidth > 0 else { continue }
            bandwidths[target << 32 | source] = bandwidth
        }
        self.bandwidths = bandwidths
        fastest = max(planning.bandwidth, bandwidths.values.max() ?? 0)
        let weight = planning.weights
        weights = Vector(weight.cpu, weight.memory, weight.network, weight.disk, weight.vcpus, 0, 0, 0)
        var units = UnitBuilder(model: model, planning: planning, hostNumbers: numbers)
        units.build()
        self.units = units.units
        unitOfVM = units.unitOfVM
        classes = units.classes
        allowed = units.classes.map { key in
            model.hosts.indices.map { key.obstacle(on: model.hosts[$0], number: $0) == nil }
        }
    }

    /// Counts each VM on its way as a load of its target, and as taking room on both hosts.
    private static func book(
        _ moves: [Move],
        of model: FleetModel,
        numbers: [HostName: Int],
        in own: inout [Vector]
    ) {
        guard !moves.isEmpty else { return }
        let vms = Dictionary(model.vms.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for move in moves {
            guard let vm = vms[move.vm], let source = numbers[vm.host], let target = numbers[move.target],
                source != target
            else { continue }
            var demand = Vector(vm)
            own[target] += demand
            demand[Lane.memory] = 0
            demand[Lane.vcpus] = 0
            own[source] -= demand
        }
    }

    /// Returns the cost of a unit's move from its home to a host, in seconds of migration.
    @inline(__always)
    func seconds(_ unit: Unit, to host: Int) -> Double {
        if bandwidths.isEmpty { return unit.seconds }
        return unit.members.reduce(0) {
            $0 + seconds(ofVM: $1, from: unit.home, to: host) + MigrationCost.overhead
        }
    }

    /// Returns the least cost of a unit's move from its home, in seconds of migration.
    func leastSeconds(_ unit: Unit) -> Double {
        if bandwidths.isEmpty { return unit.seconds }
        return unit.members.reduce(0) {
            $0 + MigrationCost.seconds(model.vms[$1], bandwidth: fastest) + MigrationCost.overhead
        }
    }

    /// Returns how long the transfer of a VM takes between two hosts, in seconds.
    func seconds(ofVM vm: Int, from source: Int, to target: Int) -> Double {
        MigrationCost.seconds(model.vms[vm], bandwidth: bandwidth(from: source, to: target))
    }

    /// Returns the measured bandwidth of a path, or the policy's, in bytes per second.
    func bandwidth(from source: Int, to target: Int) -> Double {
        bandwidths[target << 32 | source] ?? planning.bandwidth
    }

    /// Returns the demand of one VM.
    func demand(ofVM number: Int) -> Vector { Vector(model.vms[number]) }

    private static func inverseCapacity(of host: Host) -> Vector {
        func inverse(_ capacity: Double) -> Double { capacity > 0 ? 1 / capacity : 0 }
        let cpu = inverse(host.capacity.cpuCores)
        return Vector(
            cpu,
            inverse(Double(host.capacity.memoryBytes)),
            inverse(host.capacity.networkBytesPerSecond),
            inverse(host.capacity.diskBytesPerSecond),
            inverse(Double(host.cpus)),
            cpu,
            cpu * cpu,
            cpu
        )
    }

    private static func limit(of host: Host, planning: PlanningPolicy) -> Vector {
        var limit = Vector(repeating: .infinity)
        limit[Lane.memory] = Double(host.capacity.memoryBytes) * planning.memoryLimit
        if let ratio = planning.vcpusPerCPU { limit[Lane.vcpus] = Double(host.cpus) * ratio }
        return limit
    }
}

extension SIMD8<Double> {
    /// Creates the demand of a VM; a VM that is shut off needs nothing.
    init(_ vm: VirtualMachine) {
        guard vm.state.isActive else {
            self.init()
            return
        }
        self.init(
            vm.demand,
            vcpus: Double(vm.vcpus),
            peak: vm.peakCores,
            variance: vm.cpuVariance,
            present: vm.presentCores
        )
    }

    init(_ resources: Resources, vcpus: Double, peak: Double, variance: Double, present: Double) {
        self.init(
            resources.cpuCores,
            Double(resources.memoryBytes),
            resources.networkBytesPerSecond,
            resources.diskBytesPerSecond,
            vcpus,
            peak,
            variance,
            present
        )
    }
}
