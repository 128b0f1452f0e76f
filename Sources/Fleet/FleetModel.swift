// SPDX-License-Identifier: Apache-2.0

/// The fleet in figures: what each host has, what each VM needs and where it is, and the rules between them.
///
/// The planner's input. It is made from the ledger's histories, or read from a file; a figure is an estimate for the
/// time the plan is made for, not a single sample.
public struct FleetModel: Sendable, Equatable {
    /// Counts up with everything that was read; a plan carries it.
    ///
    /// 0 for a file.
    public var revision: UInt64
    public var at: Instant
    /// In the order of their names, each name once.
    public var hosts: [Host]
    /// In the order of their ids, each id once; each on a host of `hosts`.
    public var vms: [VirtualMachine]
    public var rules: [PlacementRule]
    public var movesInFlight: [Move]
    /// Paths over which nothing is planned.
    public var closedPaths: Set<Path>
    /// What migrations got on a path under its escort, in bytes per second, where that was measured.
    public var bandwidths: [Path: Double]
    /// How much of the planning horizon a load that is off its mean stays so, 0 to 1.
    ///
    /// 0 for a file: its figures are means.
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

/// An amount of what hosts have and VMs use.
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
    /// What the host has.
    ///
    /// A capacity of 0 means: not known, not balanced and no limit (network and disk alone).
    public var capacity: Resources
    /// What the host itself uses beside its VMs; it does not move.
    public var own: Resources
    /// Physical CPUs, against which VCPUs are counted.
    public var cpus: Int
    public var mode: HostMode
    /// `nil`: not known, every host is taken to be like every other.
    public var hypervisor: HypervisorFacts?
    /// What is reachable from here; `nil`: everything.
    public var storages: Set<String>?
    public var networks: Set<String>?
    /// VMs move only between hosts of the same group.
    public var group: String?
    /// Why no VM can come here, beside the host's mode; `nil`: it can.
    public var isClosedBecause: Obstacle?
    /// What the host's windows of samples say; `nil` where there is no history, then its figures are judged as they are.
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

/// What may be done with a host.
public enum HostMode: String, Codable, Sendable, CaseIterable {
    /// Gives and takes VMs.
    case active
    /// To be emptied: takes nothing, every VM that can leaves.
    case maintenance
    /// A move has just changed it, or is about to: neither source nor target until its figures are of after it.
    case settling
    /// Its figures are not fresh: neither source nor target.
    case stale
    /// Its figures are not believed: neither source nor target.
    case distrusted
    /// Down: nothing can be moved from it or to it.
    case failed
}

/// A VM as the planner sees it.
public struct VirtualMachine: Sendable, Equatable {
    public var id: VMID
    public var name: String
    public var host: HostName
    /// What it needs: the demand that the plan is made for.
    public var demand: Resources
    /// The most CPU that it is expected to need within the forecast, in cores; at least `demand.cpuCores`.
    public var peakCores: Double
    /// How far its CPU use is off `demand.cpuCores` in the square mean, in cores²; 0 where it is not known to vary.
    public var cpuVariance = 0.0
    /// What it wants just now, in cores, whether that lasts or not.
    public var presentCores: Double
    public var vcpus: Int
    public var state: VMState
    /// How fast its guest dirties memory, in bytes per second; `nil`: not known.
    public var dirtyBytesPerSecond: Double?
    /// What its disks and interfaces need to be reachable.
    public var storages: Set<String>
    public var networks: Set<String>
    /// Why it must not move now (pinned, just moved, ...); `nil`: it may.
    public var staysBecause: StayReason?
    /// Hosts that it must not go to now, and why (left lately, failed lately).
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

/// A rule on where VMs may be.
public struct PlacementRule: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// The VMs are on one host, all together.
        case together
        /// No two of the VMs are on one host.
        case apart
        /// The VMs are on one of the hosts.
        case onlyOn
        /// The VMs are on none of the hosts.
        case neverOn
        /// The VMs are on one of the hosts if nothing else speaks against it. The only soft rule.
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

    /// `hosts` may be left out where it is empty.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        kind = try container.decode(Kind.self, forKey: .kind)
        vms = try container.decode([VMID].self, forKey: .vms)
        hosts = try container.decodeIfPresent([HostName].self, forKey: .hosts) ?? []
    }
}
