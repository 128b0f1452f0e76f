// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The input of a baseline: hosts and VMs, with the sums that all baselines need.
///
/// Invalid figures are harmless: NaN, infinite and negative values count as zero, a VM on an unknown host never moves,
/// and sums of bytes wrap.
public struct BaselineFleet: Sendable {
    public struct Host: Sendable {
        public var name: HostName
        public var cores: Double
        public var memoryBytes: UInt64
        /// CPU that the host itself uses, in addition to its VMs.
        public var ownCores: Double
        public var ownMemoryBytes: UInt64
        /// The share of CPU in use in the host's latest samples, oldest first.
        public var cpuHistory: [Double]
        /// Whether the host may be source or target: its figures are recent and no move changes it.
        public var isUsable: Bool

        public init(
            name: HostName,
            cores: Double,
            memoryBytes: UInt64,
            ownCores: Double = 0,
            ownMemoryBytes: UInt64 = 0,
            cpuHistory: [Double] = [],
            isUsable: Bool = true
        ) {
            self.name = name
            self.cores = cores
            self.memoryBytes = memoryBytes
            self.ownCores = ownCores
            self.ownMemoryBytes = ownMemoryBytes
            self.cpuHistory = cpuHistory
            self.isUsable = isUsable
        }
    }

    public struct VM: Sendable {
        public var id: VMID
        public var name: String
        /// The VM's host, as an index into the hosts.
        public var host: Int
        /// CPU use in the newest sample, in cores.
        public var cores: Double
        public var memoryBytes: UInt64
        public var vcpus: Int
        public var mayMove: Bool

        public init(
            id: VMID,
            name: String,
            host: Int,
            cores: Double,
            memoryBytes: UInt64,
            vcpus: Int = 1,
            mayMove: Bool = true
        ) {
            self.id = id
            self.name = name
            self.host = host
            self.cores = cores
            self.memoryBytes = memoryBytes
            self.vcpus = vcpus
            self.mayMove = mayMove
        }
    }

    public private(set) var hosts: [Host]
    public private(set) var vms: [VM]
    /// CPU in use on each host by the host itself and its VMs, in cores.
    public private(set) var usedCores: [Double]
    /// Allocated memory on each host for the host itself and its VMs, in bytes.
    public private(set) var usedMemory: [UInt64]
    /// VCPUs of the VMs on each host.
    public private(set) var usedVCPUs: [Double]
    /// The VMs on each host; those that ``move(_:to:)`` added come last.
    public private(set) var vmsOn: [[Int]]

    public init(hosts: [Host], vms: [VM]) {
        self.hosts = hosts
        self.vms = vms
        for index in hosts.indices {
            self.hosts[index].cores = Self.sound(hosts[index].cores)
            self.hosts[index].ownCores = Self.sound(hosts[index].ownCores)
            for sample in hosts[index].cpuHistory.indices {
                self.hosts[index].cpuHistory[sample] = Self.sound(hosts[index].cpuHistory[sample])
            }
        }
        usedCores = self.hosts.map(\.ownCores)
        usedMemory = self.hosts.map(\.ownMemoryBytes)
        usedVCPUs = hosts.map { _ in 0 }
        vmsOn = hosts.map { _ in [] }
        for index in vms.indices {
            self.vms[index].cores = Self.sound(vms[index].cores)
            self.vms[index].vcpus = max(0, vms[index].vcpus)
            guard hosts.indices.contains(vms[index].host) else { continue }
            arrive(index)
        }
    }

    private static func sound(_ figure: Double) -> Double { figure.isFinite && figure > 0 ? figure : 0 }

    private mutating func arrive(_ index: Int) {
        let vm = vms[index]
        usedCores[vm.host] += vm.cores
        usedMemory[vm.host] &+= vm.memoryBytes
        usedVCPUs[vm.host] += Double(vm.vcpus)
        vmsOn[vm.host].append(index)
    }

    /// Moves a VM to another host, whether or not that host can take it.
    public mutating func move(_ index: Int, to target: Int) {
        guard vms.indices.contains(index), hosts.indices.contains(target) else { return }
        let vm = vms[index]
        guard vm.host != target else { return }
        if hosts.indices.contains(vm.host) {
            usedCores[vm.host] -= vm.cores
            usedMemory[vm.host] &-= vm.memoryBytes
            usedVCPUs[vm.host] -= Double(vm.vcpus)
            vmsOn[vm.host].removeAll { $0 == index }
        }
        vms[index].host = target
        arrive(index)
    }

    /// Returns the share of a host's CPU in use; zero for a host without CPU.
    public func cpuShare(of host: Int) -> Double {
        hosts[host].cores > 0 ? usedCores[host] / hosts[host].cores : 0
    }

    /// Returns the share of a host's memory that is allocated; zero for a host without memory.
    public func memoryShare(of host: Int) -> Double {
        hosts[host].memoryBytes > 0 ? Double(usedMemory[host]) / Double(hosts[host].memoryBytes) : 0
    }

    public func freeMemory(of host: Int) -> UInt64 {
        let capacity = hosts[host].memoryBytes
        return usedMemory[host] < capacity ? capacity - usedMemory[host] : 0
    }

    /// Returns whether a host can take a VM: the host is usable, not the VM's own, and has enough free memory.
    public func takes(_ vm: Int, _ host: Int) -> Bool {
        isActive(host) && vms[vm].host != host && vms[vm].memoryBytes <= freeMemory(of: host)
    }

    /// Returns whether a host is usable and has CPU and memory.
    public func isActive(_ host: Int) -> Bool {
        hosts[host].isUsable && hosts[host].cores > 0 && hosts[host].memoryBytes > 0
    }

    /// Returns whether a VM may be moved and its host may be a source.
    public func mayLeave(_ vm: Int) -> Bool {
        vms[vm].mayMove && hosts.indices.contains(vms[vm].host) && isActive(vms[vm].host)
    }

    /// The hosts that may be source and target.
    public var activeHosts: [Int] { hosts.indices.filter(isActive) }
}

/// A fleet with the moves decided so far applied; no VM moves twice.
struct BaselinePlan {
    private(set) var fleet: BaselineFleet
    private(set) var moves: [BaselineMove] = []
    private var isMoved: [Bool]

    init(_ fleet: BaselineFleet) {
        self.fleet = fleet
        isMoved = fleet.vms.map { _ in false }
    }

    func mayMove(_ vm: Int) -> Bool { !isMoved[vm] && fleet.mayLeave(vm) }

    /// Returns the VMs of a host that may still move.
    func movable(on host: Int) -> [Int] { fleet.vmsOn[host].filter(mayMove) }

    mutating func move(_ vm: Int, to target: Int) {
        isMoved[vm] = true
        fleet.move(vm, to: target)
        moves.append(BaselineMove(vm: vm, target: target))
    }
}
