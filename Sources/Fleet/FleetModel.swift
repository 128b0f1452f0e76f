// SPDX-License-Identifier: Apache-2.0

/// The fleet in figures: capacity of each host, demand and host of each VM, and the rules between them.
///
/// It is the planner's input, made from the ledger's histories or read from a file. Each figure is an estimate for the
/// time that the plan covers, not a single sample.
public struct FleetModel: Sendable, Equatable {
    /// Rises with every record read; a plan carries it.
    ///
    /// 0 for a file.
    public var revision: UInt64
    public var at: Instant
    /// In the order of their names, each name once.
    public var hosts: [Host]
    /// In the order of their ids, each id once, each on a host of `hosts`.
    public var vms: [VirtualMachine]
    public var rules: [PlacementRule]
    public var movesInFlight: [Move]
    /// Paths on which no move is planned.
    public var closedPaths: Set<Path>
    /// Measured bandwidths of migrations on a path under its escort, in bytes per second.
    public var bandwidths: [Path: Double]
    /// The part of the planning horizon for which a load stays off its mean, 0 to 1.
    ///
    /// 0 for a file, because its figures are means.
    public var persistence = 0.0

    public init(
        revision: UInt64 = 0,
        at: Instant,
        hosts: [Host],
        vms: [VirtualMachine],
        rules: [PlacementRule] = [],
        movesInFlight: [Move] = [],
        closedPaths: Set<Path> = [],
        bandwidths: [Path: Double] = [:]
    ) {
        self.revision = revision
        self.at = at
        self.hosts = hosts.sorted { $0.name < $1.name }
        self.vms = vms.sorted { $0.id < $1.id }
        self.rules = rules
        self.movesInFlight = movesInFlight
        self.closedPaths = closedPaths
        self.bandwidths = bandwidths
    }
}

/// An amount of resources that a host has or a VM uses.
public struct Resources: Codable, Sendable, Equatable {
    /// CPU in cores.
    public var cpuCores: Double
    public var memoryBytes: UInt64
    /// Bytes per second, both directions together.
    public var networkBytesPerSecond: Double
    /// Bytes per second, reads and writes together.
    public var diskBytesPerSecond: Double

    public init(
        cpuCores: Double = 0,
        memoryBytes: UInt64 = 0,
        networkBytesPerSecond: Double = 0,
        diskBytesPerSecond: Double = 0
    ) {
        self.cpuCores = cpuCores
        self.memoryBytes = memoryBytes
        self.networkBytesPerSecond = networkBytesPerSecond
        self.diskBytesPerSecond = diskBytesPerSecond
    }
}

/// A hypervisor host as the planner sees it.
public struct Host: Sendable, Equatable {
    public var name: HostName
    /// The capacity of the host.
    ///
    /// For network and disk, 0 means not known: neither balanced nor limited.
    public var capacity: Resources
    /// The use of the host in addition to its VMs; it does not move.
    public var own: Resources
    /// Physical CPUs, against which VCPUs are counted.
    public var cpus: Int
    public var mode: HostMode
    /// `nil`: not known; the host then counts as compatible with every other.
    public var hypervisor: HypervisorFacts?
    /// Storages and networks reachable from the host; `nil`: all.
    public var storages: Set<String>?
    public var networks: Set<String>?
    /// VMs move only between hosts of the same group.
    public var group: String?
    /// Why no VM can move to the host, in addition to its mode; `nil`: it can.
    public var isClosedBecause: Obstacle?
    /// The judgement from the host's samples; `nil` without a history: its figures are then judged directly.
    public var judgement: Judgement?

    public init(
        name: HostName,
        capacity: Resources,
        own: Resources = Resources(),
        cpus: Int,
        mode: HostMode = .active,
        hypervisor: HypervisorFacts? = nil,
        storages: Set<String>? = nil,
        networks: Set<String>? = nil,
        group: String? = nil,
        judgement: Judgement? = nil
    ) {
        self.name = name
        self.capacity = capacity
        self.own = own
        self.cpus = cpus
        self.mode = mode
        self.hypervisor = hypervisor
        self.storages = storages
        self.networks = networks
        self.group = group
        self.judgement = judgement
    }
}

/// The moves that are allowed from and to a host.
public enum HostMode: String, Codable, Sendable, CaseIterable {
    /// Gives and takes VMs.
    case active
    /// To be emptied: takes no VM, and every VM that can move leaves.
    case maintenance
    /// A move is about to change it or has just done so: neither source nor target until its figures are newer.
    case settling
    /// Without fresh figures: neither source nor target.
    case stale
    /// Its claims are contradicted: neither source nor target.
    case distrusted
    /// Its agent cannot take orders: neither source nor target.
    case blocked
    /// Down: no move from it or to it is possible.
    case failed
}

/// A VM as the planner sees it.
public struct VirtualMachine: Sendable, Equatable {
    public var id: VMID
    public var name: String
    public var host: HostName
    /// The demand that the plan is made for.
    public var demand: Resources
    /// The highest CPU demand expected within the forecast, in cores; at least `demand.cpuCores`.
    public var peakCores: Double
    /// Mean square of the deviation of its CPU use from `demand.cpuCores`, in cores²; 0 if no variation is known.
    public var cpuVariance = 0.0
    /// Present CPU demand in cores, whether it lasts or not.
    public var presentCores: Double
    public var vcpus: Int
    public var state: VMState
    /// The rate at which its guest dirties memory, in bytes per second; `nil`: not known.
    public var dirtyBytesPerSecond: Double?
    /// Storages and networks that its disks and interfaces need.
    public var storages: Set<String>
    public var networks: Set<String>
    /// Why it must not move now (pinned, just moved, ...); `nil`: it may.
    public var staysBecause: StayReason?
    /// Hosts that it must not move to now, and why (it left them, or a move to them failed).
    public var avoids: [HostName: Obstacle]

    public init(
        id: VMID,
        name: String,
        host: HostName,
        demand: Resources,
        peakCores: Double? = nil,
        vcpus: Int,
        state: VMState = .running,
        dirtyBytesPerSecond: Double? = nil,
        storages: Set<String> = [],
        networks: Set<String> = [],
        staysBecause: StayReason? = nil,
        avoids: [HostName: Obstacle] = [:]
    ) {
        self.id = id
        self.name = name
        self.host = host
        self.demand = demand
        self.peakCores = max(peakCores ?? demand.cpuCores, demand.cpuCores)
        presentCores = demand.cpuCores
        self.vcpus = vcpus
        self.state = state
        self.dirtyBytesPerSecond = dirtyBytesPerSecond
        self.storages = storages
        self.networks = networks
        self.staysBecause = staysBecause
        self.avoids = avoids
    }
}

/// A rule on the placement of VMs.
public struct PlacementRule: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// The VMs are all on one host.
        case together
        /// No two of the VMs are on one host.
        case apart
        /// The VMs are on one of the hosts.
        case onlyOn
        /// The VMs are on none of the hosts.
        case neverOn
        /// The VMs are on one of the hosts unless something else prevents it. The only soft rule.
        case preferably
    }
    public var name: String
    public var kind: Kind
    public var vms: [VMID]
    /// Empty for `together` and `apart`.
    public var hosts: [HostName]

    public init(name: String, kind: Kind, vms: [VMID], hosts: [HostName] = []) {
        self.name = name
        self.kind = kind
        self.vms = vms
        self.hosts = hosts
    }

    /// Accepts a missing `hosts` as empty.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        kind = try container.decode(Kind.self, forKey: .kind)
        vms = try container.decode([VMID].self, forKey: .vms)
        hosts = try container.decodeIfPresent([HostName].self, forKey: .hosts) ?? []
    }
}
