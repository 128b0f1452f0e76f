// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The CPU demand of a fleet's VMs so far: mean and variance of each, and for how long a deviation from the mean lasts.
///
/// A VM keeps its figures when it moves. Old observations fade with a time constant of six hours.
public struct LoadStatistics: Sendable, Equatable, Codable {
    /// The figures of one VM, in cores.
    public struct VM: Sendable, Equatable, Codable {
        public fileprivate(set) var mean = 0.0
        fileprivate var meanSquare = 0.0
        /// How long it has been observed, in seconds.
        public fileprivate(set) var seconds = 0.0
        fileprivate var lastSeen: Instant
        /// The host whose sample listed it last.
        fileprivate var host: HostName
        fileprivate var slot = Slot()
        /// The deviation of the slot before, if there was one.
        fileprivate var deviation: Double?
        // Over pairs of adjacent slots: products of their deviations, and squares.
        fileprivate var products = 0.0
        fileprivate var squares = 0.0
        fileprivate var slots = 0.0
        fileprivate var vcpus = 1.0
        /// Samples up to this time were added by the previous incarnation; `nil`: none were.
        fileprivate var restoredUntil: Instant?

        public var variance: Double { max(0, meanSquare - mean * mean) }
    }

    /// The mean over one time slot; slots are compared with their successors.
    fileprivate struct Slot: Sendable, Equatable, Codable {
        var number: Int64 = .min
        var sum = 0.0
        var seconds = 0.0
    }

    public private(set) var vms: [VMID: VM] = [:]

    public init() {}

    /// Computes the statistics from the samples that histories still hold.
    public init(_ hosts: [HostHistory]) {
        for sample in hosts.flatMap(\.samples).sorted(by: { ($0.at, $0.host) < ($1.at, $1.host) }) { add(sample) }
    }

    private static let timeConstant = 6.0 * 3600
    private static let slotLength: Int64 = 300_000
    private static let longestInterval = 300.0
    /// More VMs than any real host has; it bounds the memory that a false claim can take.
    private static let mostVMs = 4096

    /// Adds a sample that is newer than all earlier ones of its host.
    ///
    /// `isContested` is called if a VM runs on another host than before. It returns whether that other host still
    /// reports the VM as running; contested VMs do not count.
    public mutating func add(_ sample: LoadSample, isContested: (VMID, HostName) -> Bool = { _, _ in false }) {
        guard let interval = sample.intervalSeconds, interval > 0, interval.isFinite else { return }
        let seconds = min(interval, Self.longestInterval)
        let number = sample.at.milliseconds / Self.slotLength
        let factor = sample.hiddenDemand
        for vm in (sample.vms ?? []).prefix(Self.mostVMs) where vm.state == .running {
            guard let cores = vm.demand(hidden: factor) else { continue }
            if let until = vms[vm.id]?.restoredUntil, sample.at <= until { continue }
            if let last = vms[vm.id]?.host, last != sample.host {
                if isContested(vm.id, last) { continue }
                vms[vm.id]?.host = sample.host
            }
            vms[vm.id, default: VM(lastSeen: sample.at, host: sample.host)]
                .add(cores, of: vm.vcpus, seconds: seconds, slot: number, at: sample.at)
        }
    }

    /// Adds the figures that a previous incarnation had of VMs; the ledger still has some of their samples.
    public mutating func restore(_ earlier: LoadStatistics) {
        for (id, vm) in earlier.vms where vms[id] == nil && vm.isPlausible {
            vms[id] = vm
            vms[id]?.restoredUntil = vm.lastSeen
        }
    }

    /// Returns the figures of up to `count` VMs, those that were observed last.
    public func newest(_ count: Int) -> LoadStatistics {
        guard vms.count > count else { return self }
        let kept = vms.sorted { ($1.value.lastSeen, $0.key) < ($0.value.lastSeen, $1.key) }.prefix(count)
        var newest = LoadStatistics()
        newest.vms = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
        return newest
    }

    /// Forgets VMs that were not observed since an instant.
    public mutating func forget(notSeenSince oldest: Instant) {
        vms = vms.filter { $0.value.lastSeen >= oldest }
    }

    /// The correlation of a VM's load in one slot of five minutes with the next, over all VMs; between 0 and 1.
    ///
    /// With few observations it is drawn towards one half.
    public var correlation: Double {
        var products = 0.0
        var squares = 0.0
        var slots = 0.0
        // A fixed order, because the sum of floating-point numbers depends on it.
        for id in vms.keys.sorted() {
            guard let vm = vms[id] else { continue }
            products += vm.products
            squares += vm.squares
            slots += vm.slots
        }
        let known = slots / Double(max(1, vms.count))
        let seen = squares > 0 ? max(0, min(1, products / squares)) : 0.5
        return (known * seen + Self.slotsUntilKnown * 0.5) / (known + Self.slotsUntilKnown)
    }

    private static let slotsUntilKnown = 6.0

    /// How long a deviation from the mean lasts, in seconds: the integral of a geometrically falling autocorrelation.
    public var persistence: Double {
        let correlation = correlation
        return Double(Self.slotLength) / 2000 * (1 + correlation) / max(1 - correlation, 1e-3)
    }
}

extension LoadStatistics.VM {
    /// Whether all figures are finite numbers, also after a file was damaged.
    fileprivate var isPlausible: Bool {
        [mean, meanSquare, seconds, products, squares, slots, vcpus, slot.sum, slot.seconds, deviation ?? 0]
            .allSatisfy(\.isFinite) && seconds >= 0 && slot.number < 1 << 53
    }

    fileprivate mutating func add(
        _ cores: Double,
        of vcpus: Int?,
        seconds: Double,
        slot number: Int64,
        at: Instant
    ) {
        if let vcpus, vcpus > 0 { self.vcpus = Double(vcpus) }
        lastSeen = max(lastSeen, at)
        self.seconds += seconds
        // A plain mean at first, later one that fades.
        let weight = max(seconds / self.seconds, min(1, seconds / LoadStatistics.timeConstant))
        mean += weight * (cores - mean)
        meanSquare += weight * (cores * cores - meanSquare)
        if number != slot.number {
            close(before: number)
            slot.number = number
        }
        slot.sum += cores * seconds
        slot.seconds += seconds
    }

    /// Ends a slot, which forms a pair with the slot before it.
    private mutating func close(before next: Int64) {
        defer { slot = LoadStatistics.Slot() }
        guard slot.seconds > 0 else { return }
        // As a share of its VCPUs, so that no VM counts for more than another.
        let own = (slot.sum / slot.seconds - mean) / max(1, vcpus)
        if let deviation {
            let fading = 1 - Double(LoadStatistics.slotLength) / 1000 / LoadStatistics.timeConstant
            products = products * fading + own * deviation
            squares = squares * fading + (own * own + deviation * deviation) / 2
            slots = slots * fading + 1
        }
        deviation = next == slot.number + 1 ? own : nil
    }
}

extension VMSample {
    /// Returns the VM's demand in cores, or `nil` if it is not known.
    ///
    /// It is use plus wait if the wait is reported, otherwise use × `factor`; if CPU is free (`nil`), it is the use.
    func demand(hidden factor: Double?) -> Double? {
        guard let cpuCores, cpuCores.isFinite, cpuCores >= 0 else { return nil }
        let waiting = waitingCores.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil } ?? 0
        let wanted = factor.map { factor in
            waiting > cpuCores * (factor - 1) * 0.1
                ? Self.demand(using: cpuCores, waiting: waiting) : cpuCores * factor
        }
        // No VM uses more than its VCPUs; an implausible figure counts as all of them.
        return min(wanted ?? cpuCores, Double(min(max(1, vcpus ?? 1024), 1024)))
    }

    /// Returns the demand of a VM on a busy host from its use and its wait, in cores.
    ///
    /// VCPUs that fall behind wait all the time, however little they lack. Waiting shows that CPU is missing, not how
    /// much, so at most half of the time counts as wait.
    public static func demand(using cores: Double, waiting: Double) -> Double {
        min(cores + waiting, cores / (1 - LoadSample.mostWaiting))
    }
}

extension LoadSample {
    /// The factor by which the VMs' demand exceeds their use because they wait; `nil` if CPU is free.
    public var hiddenDemand: Double? {
        cpu.flatMap { Self.hiddenDemand(share: $0.share, pressure: pressure?.cpu) }
    }

    /// Returns the factor by which VMs' demand exceeds their use, from the host's CPU share and pressure.
    ///
    /// In a share p of the time some task waited for a CPU (pressure stall information, `some`, in percent). The VMs
    /// therefore got at most 1 - p of their demand. Without that figure, p is taken as a fifth on a saturated host and
    /// as 0 below. `nil` if CPU is free: a task that waits there gets its turn.
    public static func hiddenDemand(share: Double, pressure: Double?) -> Double? {
        guard share >= busy else { return nil }
        guard let pressure, pressure.isFinite, pressure >= 0 else {
            return share < saturated ? 1 : 1 / (1 - unreportedWaiting)
        }
        return 1 / (1 - min(pressure / 100, mostWaiting))
    }

    /// Above this share of a host's CPU, VMs wait because CPU is short, not for their turn.
    private static let busy = 0.9
    /// Above this share of its CPU a host has none left.
    private static let saturated = 0.97
    private static let unreportedWaiting = 0.2
    /// `some` counts one waiting task as much as ten, so values above a half carry little information.
    fileprivate static let mostWaiting = 0.5
}
