// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

/// The content of a snapshot file, key by key.
struct SnapshotContent: Codable {
    var format: String
    var version: Int
    /// Milliseconds since 1970-01-01 UTC.
    var at: Instant?
    var hosts: [HostEntry]
    var vms: [VMEntry]
    var rules: [PlacementRule]?
    var paths: [PathEntry]?

    struct HostEntry: Codable {
        var name: HostName
        var cores: Double
        var cpus: Int?
        /// Signed, so that a negative value is detected.
        var memoryBytes: Int64
        var networkBytesPerSecond: Double?
        var diskBytesPerSecond: Double?
        var ownCores: Double?
        var ownMemoryBytes: Int64?
        var mode: HostMode?
        var group: String?
        var hypervisor: HypervisorFacts?
        var storages: Set<String>?
        var networks: Set<String>?
    }

    struct PathEntry: Codable {
        var source: HostName
        var target: HostName
        var bytesPerSecond: Double?
        var closed: Bool?
        var path: Path { Path(source: source, target: target) }
    }

    struct VMEntry: Codable {
        var id: VMID
        var name: String?
        var host: HostName
        var cores: Double
        var peakCores: Double?
        /// Signed, so that a negative value is detected.
        var memoryBytes: Int64
        var vcpus: Int
        var networkBytesPerSecond: Double?
        var diskBytesPerSecond: Double?
        var dirtyBytesPerSecond: Double?
        var state: VMState?
        var storages: Set<String>?
        var networks: Set<String>?
        var staysBecause: String?
        var avoids: [String: String]?
    }
}

extension SnapshotContent {
    init(_ model: FleetModel) {
        format = SnapshotFile.format
        version = SnapshotFile.version
        at = model.at
        hosts = model.hosts.map(HostEntry.init)
        vms = model.vms.map(VMEntry.init)
        rules = model.rules.isEmpty ? nil : model.rules
        let paths = model.closedPaths.union(model.bandwidths.keys).sorted {
            ($0.source, $0.target) < ($1.source, $1.target)
        }
        let entries = paths.map { path in
            PathEntry(
                source: path.source,
                target: path.target,
                bytesPerSecond: model.bandwidths[path],
                closed: model.closedPaths.contains(path) ? true : nil
            )
        }
        self.paths = entries.isEmpty ? nil : entries
    }
}

extension SnapshotContent.HostEntry {
    init(_ host: Fleet.Host) {
        name = host.name
        cores = host.capacity.cpuCores
        cpus = host.cpus
        memoryBytes = Int64(clamping: host.capacity.memoryBytes)
        networkBytesPerSecond = host.capacity.networkBytesPerSecond
        diskBytesPerSecond = host.capacity.diskBytesPerSecond
        ownCores = host.own.cpuCores
        ownMemoryBytes = Int64(clamping: host.own.memoryBytes)
        mode = host.mode
        group = host.group
        hypervisor = host.hypervisor
        storages = host.storages
        networks = host.networks
    }

    var host: Fleet.Host {
        Fleet.Host(
            name: name,
            capacity: Resources(
                cpuCores: cores,
                memoryBytes: UInt64(clamping: memoryBytes),
                networkBytesPerSecond: networkBytesPerSecond ?? 0,
                diskBytesPerSecond: diskBytesPerSecond ?? 0
            ),
            own: Resources(cpuCores: ownCores ?? 0, memoryBytes: UInt64(clamping: ownMemoryBytes ?? 0)),
            cpus: cpus ?? max(1, Int(cores.rounded())),
            mode: mode ?? .active,
            hypervisor: hypervisor,
            storages: storages,
            networks: networks,
            group: group
        )
    }
}

extension SnapshotContent.VMEntry {
    init(_ vm: VirtualMachine) {
        id = vm.id
        name = vm.name
        host = vm.host
        cores = vm.demand.cpuCores
        peakCores = vm.peakCores
        memoryBytes = Int64(clamping: vm.demand.memoryBytes)
        vcpus = vm.vcpus
        networkBytesPerSecond = vm.demand.networkBytesPerSecond
        diskBytesPerSecond = vm.demand.diskBytesPerSecond
        dirtyBytesPerSecond = vm.dirtyBytesPerSecond
        state = vm.state
        storages = vm.storages.isEmpty ? nil : vm.storages
        networks = vm.networks.isEmpty ? nil : vm.networks
        staysBecause = vm.staysBecause?.description
        avoids =
            vm.avoids.isEmpty
            ? nil : Dictionary(vm.avoids.map { ($0.rawValue, "\($1)") }, uniquingKeysWith: { first, _ in first })
    }

    var virtualMachine: VirtualMachine {
        VirtualMachine(
            id: id,
            name: name ?? id.rawValue,
            host: host,
            demand: Resources(
                cpuCores: cores,
                memoryBytes: UInt64(clamping: memoryBytes),
                networkBytesPerSecond: networkBytesPerSecond ?? 0,
                diskBytesPerSecond: diskBytesPerSecond ?? 0
            ),
            peakCores: peakCores,
            vcpus: vcpus,
            state: state ?? .running,
            dirtyBytesPerSecond: dirtyBytesPerSecond,
            storages: storages ?? [],
            networks: networks ?? [],
            staysBecause: staysBecause.map { .stated($0) },
            avoids: Dictionary(
                (avoids ?? [:]).map { (HostName($0), .stated($1)) },
                uniquingKeysWith: { first, _ in first }
            )
        )
    }
}
