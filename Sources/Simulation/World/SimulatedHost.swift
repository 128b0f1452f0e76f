// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A host's entry for a VM in its libvirt.
struct VMCopy {
    var vm: Int
    var state: DomainPresence
    /// Whether a running migration created it; it is removed if the migration fails.
    var isIncoming = false
    /// libvirt's autostart.
    var startsWithHost = false
    /// Whether it starts at the next boot.
    var startsAtBoot = false
    /// The share of time for which a migration stops the guest, to dirty less memory.
    var throttle = 0.0
    /// CPU time that the VM used here, in core seconds.
    var cpuSeconds = 0.0
    /// CPU time that the VM requested here and did not get, in core seconds.
    var waitedSeconds = 0.0

    /// Whether the guest executes.
    var executes: Bool { state == .running || state == .migratingOut }
    /// Returns the guest's current demand on the host's CPUs, in cores.
    func asks(_ cores: [Double]) -> Double { executes ? cores[vm] * (1 - throttle) : 0 }
    var takesMemory: Bool { state != .inactive && state != .absent }
}

/// A host with its VMs, which share its CPU.
struct SimulatedHost {
    let spec: SimulationSettings.Host
    /// Sorted by the VMs' numbers.
    private(set) var copies: [VMCopy] = []
    var isUp = true
    var bootedAt = Int64.min / 2
    /// VMs whose definitions libvirt has removed after their moves, and when.
    var removed: [Int: Int64] = [:]
    /// VMs whose definitions libvirt has written after moves, and when; until they are synced to the disk.
    var unsynced: [Int: Int64] = [:]
    /// The orders that its agents have begun, in their journal.
    var begun: Set<OrderID> = []
    /// When it went down last.
    var downSince = Int64.min / 2
    var libvirtIsUp = true
    /// Incremented by each start of libvirtd.
    var libvirtIncarnation = 0
    /// Number of migrations that currently send memory from or to the host.
    var transfers = 0
    var isLying = false
    /// The time at which the gate of an order closes by timeout.
    var gates: [OrderID: Int64] = [:]

    private(set) var updatedAt: Int64
    /// Core seconds used, and seconds in which a task waited for a CPU.
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

    /// The results of a period of time.
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

    /// Throttles a guest until its copy changes.
    mutating func throttle(_ vm: Int, by share: Double) {
        if let index = index(of: vm) { copies[index].throttle = share }
    }

    func memoryInUse(_ memory: [UInt64]) -> UInt64 {
        copies.reduce(0) { $0 + ($1.takesMemory ? memory[$1.vm] : 0) }
    }

    // MARK: CPU

    /// Returns the total demand on this host, in cores.
    func demand(_ cores: [Double], overhead: Double) -> Double {
        guard isUp else { return 0 }
        return copies.reduce(Double(transfers) * overhead) { $0 + ($1.executes ? cores[$1.vm] : 0) }
    }

    /// Advances the time; each VM gets a share of the CPU in proportion to its demand.
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

    /// Ratio of pressure to unserved share: pressure counts the full time in which any of many tasks waits.
    private static let waitingPerUnserved = 5.0
}
