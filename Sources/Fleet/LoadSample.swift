// SPDX-License-Identifier: Apache-2.0

/// The measurements of one agent on its host at one instant.
///
/// A figure that is not available is `nil`, never zero, and `failures` gives the reason.
public struct LoadSample: Codable, Sendable, Equatable {
    public var host: HostName
    public var at: Instant
    /// The interval since the last sample over which rates were taken, in seconds; `nil` in the first sample.
    public var intervalSeconds: Double?
    public var cpu: CPULoad?
    public var memory: MemoryLoad?
    public var loadAverage: LoadAverage?
    public var pressure: Pressure?
    public var network: NetworkLoad?
    public var hypervisor: HypervisorFacts?
    /// All VMs of the hypervisor, running or not; `nil` if it did not answer.
    public var vms: [VMSample]?
    /// The channels over which this host can send and take VMs now; `nil` if not reported.
    public var channels: [Channel]?
    /// Its tunnels, in some samples only.
    public var tunnels: [TunnelStatus]?
    /// Why the host cannot take orders now, such as a full local disk; `nil` if it can, and from an older agent.
    public var takesNoOrdersBecause: String?
    public var failures: [SourceFailure]

    public init(
        host: HostName,
        at: Instant,
        intervalSeconds: Double? = nil,
        cpu: CPULoad? = nil,
        memory: MemoryLoad? = nil,
        loadAverage: LoadAverage? = nil,
        pressure: Pressure? = nil,
        network: NetworkLoad? = nil,
        hypervisor: HypervisorFacts? = nil,
        vms: [VMSample]? = nil,
        channels: [Channel]? = nil,
        tunnels: [TunnelStatus]? = nil,
        takesNoOrdersBecause: String? = nil,
        failures: [SourceFailure] = []
    ) {
        self.host = host
        self.at = at
        self.intervalSeconds = intervalSeconds
        self.cpu = cpu
        self.memory = memory
        self.loadAverage = loadAverage
        self.pressure = pressure
        self.network = network
        self.hypervisor = hypervisor
        self.vms = vms
        self.channels = channels
        self.tunnels = tunnels
        self.takesNoOrdersBecause = takesNoOrdersBecause
        self.failures = failures
    }
}

/// CPU in cores: the host's capacity, and the cores that were busy over the interval.
public struct CPULoad: Codable, Sendable, Equatable {
    public var capacityCores: Double
    public var busyCores: Double
    public init(capacityCores: Double, busyCores: Double) {
        self.capacityCores = capacityCores
        self.busyCores = busyCores
    }
    /// Busy share of the capacity, 0 to about 1.
    public var share: Double { capacityCores > 0 ? busyCores / capacityCores : 0 }
}

/// Memory in bytes.
///
/// `available` is the memory that new work can take without swapping.
public struct MemoryLoad: Codable, Sendable, Equatable {
    public var totalBytes: UInt64
    public var usedBytes: UInt64
    public var availableBytes: UInt64
    public init(totalBytes: UInt64, usedBytes: UInt64, availableBytes: UInt64) {
        self.totalBytes = totalBytes
        self.usedBytes = usedBytes
        self.availableBytes = availableBytes
    }
    /// Used share of the total, 0 to 1.
    public var share: Double { totalBytes > 0 ? Double(usedBytes) / Double(totalBytes) : 0 }
}

/// The kernel's load averages over 1, 5 and 15 minutes.
public struct LoadAverage: Codable, Sendable, Equatable {
    public var one: Double
    public var five: Double
    public var fifteen: Double
    public init(one: Double, five: Double, fifteen: Double) {
        self.one = one
        self.five = five
        self.fifteen = fifteen
    }
}

/// Pressure stall information: percent of the last 10 seconds in which some task waited (`some avg10`).
public struct Pressure: Codable, Sendable, Equatable {
    public var cpu: Double?
    public var memory: Double?
    public var io: Double?
    public init(cpu: Double?, memory: Double?, io: Double?) {
        self.cpu = cpu
        self.memory = memory
        self.io = io
    }
}

/// Bytes per second over all interfaces except the loopback.
public struct NetworkLoad: Codable, Sendable, Equatable {
    public var receivedBytesPerSecond: Double
    public var sentBytesPerSecond: Double
    public init(receivedBytesPerSecond: Double, sentBytesPerSecond: Double) {
        self.receivedBytesPerSecond = receivedBytesPerSecond
        self.sentBytesPerSecond = sentBytesPerSecond
    }
}

/// Type, versions and CPU of a host's hypervisor.
public struct HypervisorFacts: Codable, Sendable, Equatable {
    /// libvirt's driver name, in lower case: `qemu` or `xen`.
    public var type: String
    /// The hypervisor's version in libvirt's form: major × 1,000,000 + minor × 1,000 + release.
    public var version: UInt64
    /// libvirt's version in the same form.
    public var libvirtVersion: UInt64
    public var architecture: String
    public var cpuModel: String?
    public init(type: String, version: UInt64, libvirtVersion: UInt64, architecture: String, cpuModel: String?) {
        self.type = type
        self.version = version
        self.libvirtVersion = libvirtVersion
        self.architecture = architecture
        self.cpuModel = cpuModel
    }
}

/// One VM as reported by its host's hypervisor.
public struct VMSample: Codable, Sendable, Equatable {
    public var id: VMID
    public var name: String
    public var state: VMState
    /// CPU time used per second over the interval, in cores; `nil` in the first sample of a VM.
    public var cpuCores: Double?
    /// Time in which its VCPUs were ready to run but waited for a CPU, per second over the interval, in cores; `nil` if
    /// the hypervisor does not report it.
    public var waitingCores: Double?
    public var vcpus: Int?
    /// Memory that the guest holds now (balloon), in bytes.
    public var memoryBytes: UInt64?
    /// SHA-256 of its definition, live if it is active, without the parts that change by themselves, in hexadecimal; `nil`
    /// if not read, and from an older agent for a VM that is off.
    public var definition: String?
    /// Why it cannot leave its host, according to the host's agent; `nil`: no reason is known.
    public var cannotMove: CannotMove?
    public init(
        id: VMID,
        name: String,
        state: VMState,
        cpuCores: Double? = nil,
        waitingCores: Double? = nil,
        vcpus: Int? = nil,
        memoryBytes: UInt64? = nil,
        definition: String? = nil,
        cannotMove: CannotMove? = nil
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.cpuCores = cpuCores
        self.waitingCores = waitingCores
        self.vcpus = vcpus
        self.memoryBytes = memoryBytes
        self.definition = definition
        self.cannotMove = cannotMove
    }
}

/// The state of a VM on one host.
public enum VMState: String, Codable, Sendable, CaseIterable {
    case running
    case paused
    /// Paused by a migration: an incoming copy that has not started, or an outgoing one that has handed over.
    case migrating
    case shutOff
    case crashed
    case suspended

    /// Whether the VM takes memory and may execute on this host.
    public var isActive: Bool { self != .shutOff && self != .crashed }
}

/// A source of figures that failed, and why.
public struct SourceFailure: Codable, Sendable, Equatable {
    public var source: String
    public var reason: String
    public init(source: String, reason: String) {
        self.source = source
        self.reason = reason
    }
}
