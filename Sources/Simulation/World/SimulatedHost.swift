// SPDX-License-Identifier: Apache-2.0
import Fleet

/// One host's entry for a VM, as its libvirt has it.
struct VMCopy {
    var vm: Int
    var state: DomainPresence
    /// Brought by a migration that has not ended: it vanishes with it.
    var isIncoming = false
    /// It was active when its host went down: the boot starts it again.
    var startsAtBoot = false
    /// The share of its time for which a migration keeps the guest from executing, so that it dirties less.
    var throttle = 0.0
    /// CPU time that it got here, in core seconds.
    var cpuSeconds = 0.0
    /// CPU time that it wanted here and did not get, in core seconds.
    var waitedSeconds = 0.0

    /// Whether the guest executes.
    var executes: Bool { state == .running || state == .migratingOut }
    /// What the guest can ask the host's CPUs for, of what it wants.
    func asks(_ cores: [Double]) -> Double { executes ? cores[vm] * (1 - throttle) : 0 }
    var takesMemory: Bool { state != .inactive && state != .absent }
}

/// A host with its VMs, and how its CPU is shared among them.
struct SimulatedHost {
    let spec: SimulationSettings.Host
    /// In the order of the VMs' numbers.
    private(set) var copies: [VMCopy] = []
    var isUp = true
    var libvirtIsUp = true
    /// Counts up with each start of libvirtd.
    var libvirtLife = 0
    /// Migrations that send memory from or to it now.
    var transfers = 0
    var isLying = false
    /// When the gate that was opened for an order closes by itself.
    var gates: [OrderID: Int64] = [:]

    private(set) var updatedAt: Int64
    /// Core seconds used, and seconds in which something waited for a CPU.
    private(set) var busySeconds = 0.0
    private(set) var waitedSeconds = 0.0
    var lastSample: SampleBase?

    /// The counters at the last sample.
    struct SampleBase {
        var at: Int64
        var busySeconds: Double
        var waitedSeconds: Double
        var vms: [(vm: Int, cpuSeconds: Double, waitedSeconds: Double)]
    }

    /// What a stretch of time brought.
    struct Stretch {
        var wanted = 0.0
        var unserved = 0.0
        var seconds = 0.0
        var isOverloaded = false
    }

    init(_ spec: SimulationSettings.Host, at: Int64) {
        self.spec = spec
        updatedAt = at
    }

    // MARK: copies

    func index(of vm: Int) -> Int? { copies.firstIndex { $0.vm == vm } }
    func copy(of vm: Int) -> VMCopy? { copies.first { $0.vm == vm } }

    mutating func put(_ copy: VMCopy) {
        if let index = index(of: copy.vm) {
            copies[index] = copy
        } else {
            copies.insert(copy, at: copies.firstIndex { $0.vm > copy.vm } ?? copies.count)
        }
    }

    mutating func remove(_ vm: Int) { copies.removeAll { $0.vm == vm } }

    /// Slows a guest down, until its copy changes.
    mutating func throttle(_ vm: Int, by share: Double) {
        if let index = index(of: vm) { copies[index].throttle = share }
    }

    func memoryInUse(_ memory: [UInt64]) -> UInt64 {
        copies.reduce(0) { $0 + ($1.takesMemory ? memory[$1.vm] : 0) }
    }

    // MARK: CPU

    /// What everything here wants, in cores.
    func demand(_ cores: [Double], overhead: Double) -> Double {
        guard isUp else { return 0 }
        return copies.reduce(Double(transfers) * overhead) { $0 + ($1.executes ? cores[$1.vm] : 0) }
    }

    /// Lets time pass: each gets its share of what there is, in proportion to what it wants.
    mutating func advance(to now: Int64, cores: [Double], overhead: Double) -> Stretch {
        var stretch = Stretch()
        let seconds = Double(now - updatedAt) / 1000
        updatedAt = now
        guard seconds > 0, isUp else { return stretch }
        let total = copies.reduce(Double(transfers) * overhead) { $0 + $1.asks(cores) }
        let share = total > spec.cores ? spec.cores / total : 1
        for index in copies.indices where copies[index].executes {
            let wanted = cores[copies[index].vm] * seconds
            let asked = copies[index].asks(cores) * seconds
            copies[index].cpuSeconds += asked * share
            copies[index].waitedSeconds += asked * (1 - share)
            stretch.wanted += wanted
            stretch.unserved += wanted - asked * share
        }
        busySeconds += min(total, spec.cores) * seconds
        waitedSeconds += min(1, Self.waitingPerUnserved * (1 - share)) * seconds
        stretch.seconds = seconds
        stretch.isOverloaded = total > spec.cores
        return stretch
    }

    /// Pressure counts a time in which one of many tasks waits in full, so it rises faster than what is not served.
    private static let waitingPerUnserved = 5.0
}
