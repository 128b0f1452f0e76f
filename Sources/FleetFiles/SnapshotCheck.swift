// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

/// Checks the content of a snapshot file and creates the fleet.
struct SnapshotCheck {
    let content: SnapshotContent
    let file: String
    let lines: SnapshotLines

    private func refuse(_ array: String, _ index: Int, _ key: String? = nil, _ reason: String) -> FleetFileError {
        FleetFileError(file: file, line: lines.line(array, index, key: key), reason: reason)
    }

    mutating func model() throws(FleetFileError) -> FleetModel {
        guard content.format == SnapshotFile.format else {
            throw FleetFileError(
                file: file,
                line: 1,
                reason: "its format is '\(content.format)', not '\(SnapshotFile.format)'"
            )
        }
        guard content.version == SnapshotFile.version else {
            throw FleetFileError(
                file: file,
                line: 1,
                reason: "its version is \(content.version); this program reads version 1"
            )
        }
        guard !content.hosts.isEmpty else { throw FleetFileError(file: file, line: 1, reason: "the fleet has no host") }
        try checkKeys()
        try checkHosts()
        try checkVMs()
        try checkRules()
        try checkPaths()
        return FleetModel(
            at: content.at ?? Instant(milliseconds: 0),
            hosts: content.hosts.map(\.host),
            vms: content.vms.map(\.virtualMachine),
            rules: content.rules ?? [],
            closedPaths: Set((content.paths ?? []).filter { $0.closed == true }.map(\.path)),
            bandwidths: Dictionary(
                (content.paths ?? []).compactMap { entry in entry.bytesPerSecond.map { (entry.path, $0) } },
                uniquingKeysWith: { first, _ in first }
            )
        )
    }

    /// Throws for an unknown key, which is probably a typing error.
    private func checkKeys() throws(FleetFileError) {
        let known: [String: Set<String>] = [
            "": ["format", "version", "at", "hosts", "vms", "rules", "paths"],
            "hosts": [
                "name", "cores", "cpus", "memoryBytes", "networkBytesPerSecond", "diskBytesPerSecond", "ownCores",
                "ownMemoryBytes", "mode", "group", "hypervisor", "storages", "networks",
            ],
            "vms": [
                "id", "name", "host", "cores", "peakCores", "memoryBytes", "vcpus", "networkBytesPerSecond",
                "diskBytesPerSecond", "dirtyBytesPerSecond", "state", "storages", "networks", "staysBecause",
                "avoids",
            ],
            "rules": ["name", "kind", "vms", "hosts"],
            "paths": ["source", "target", "bytesPerSecond", "closed"],
        ]
        for key in lines.keys {
            guard let keys = known[key.array], !keys.contains(key.key) else { continue }
            let place = key.array.isEmpty ? "the top level" : "\(key.array)[\(key.index)]"
            let reason = "\(place) has a key '\(key.key)', which is unknown; known keys are "
            throw FleetFileError(file: file, line: key.line, reason: reason + keys.sorted().joined(separator: ", "))
        }
    }

    private func checkHosts() throws(FleetFileError) {
        var names: Set<HostName> = []
        for (index, host) in content.hosts.enumerated() {
            guard names.insert(host.name).inserted else {
                throw refuse("hosts", index, "name", "host \(host.name) is listed twice")
            }
            let figures = [
                ("cores", host.cores), ("networkBytesPerSecond", host.networkBytesPerSecond ?? 0),
                ("diskBytesPerSecond", host.diskBytesPerSecond ?? 0), ("ownCores", host.ownCores ?? 0),
            ]
            for (key, value) in figures { try check(value, "hosts", index, key, of: host.name.rawValue) }
            try check(host.memoryBytes, "hosts", index, "memoryBytes", of: host.name.rawValue)
            try check(host.ownMemoryBytes ?? 0, "hosts", index, "ownMemoryBytes", of: host.name.rawValue)
            try check(host.name.rawValue, "hosts", index, "name")
            guard host.cores >= 0.001, host.memoryBytes >= 1 << 20, (1...1_000_000).contains(host.cpus ?? 1) else {
                throw refuse(
                    "hosts",
                    index,
                    nil,
                    "host \(host.name) has less than 0.001 cores, less than 1 MiB of memory, or an implausible number of CPUs"
                )
            }
            for (key, value) in figures.dropFirst().prefix(2) where value > 0 && value < 1 {
                throw refuse("hosts", index, key, "\(key) of \(host.name) is below one byte per second")
            }
            guard host.ownMemoryBytes ?? 0 <= host.memoryBytes else {
                throw refuse(
                    "hosts",
                    index,
                    "ownMemoryBytes",
                    "ownMemoryBytes of \(host.name) is above its memoryBytes"
                )
            }
        }
    }

    private func checkVMs() throws(FleetFileError) {
        let hosts = Set(content.hosts.map(\.name))
        var ids: Set<VMID> = []
        let largest = content.hosts.map(\.memoryBytes).max() ?? 0
        for (index, vm) in content.vms.enumerated() {
            guard ids.insert(vm.id).inserted else { throw refuse("vms", index, "id", "VM \(vm.id) is listed twice") }
            guard hosts.contains(vm.host) else {
                throw refuse("vms", index, "host", "VM \(vm.id) is on \(vm.host), which is not a host in this file")
            }
            for host in (vm.avoids ?? [:]).keys where !hosts.contains(HostName(host)) {
                throw refuse("vms", index, "avoids", "VM \(vm.id) avoids \(host), which is not a host in this file")
            }
            let figures = [
                ("cores", vm.cores), ("peakCores", vm.peakCores ?? 0),
                ("networkBytesPerSecond", vm.networkBytesPerSecond ?? 0),
                ("diskBytesPerSecond", vm.diskBytesPerSecond ?? 0),
                ("dirtyBytesPerSecond", vm.dirtyBytesPerSecond ?? 0), ("vcpus", Double(vm.vcpus)),
            ]
            for (key, value) in figures { try check(value, "vms", index, key, of: vm.id.rawValue) }
            try check(vm.memoryBytes, "vms", index, "memoryBytes", of: vm.id.rawValue)
            try check(vm.id.rawValue, "vms", index, "id")
            try check(vm.name ?? vm.id.rawValue, "vms", index, "name")
            guard vm.vcpus <= 100_000 else {
                throw refuse("vms", index, "vcpus", "VM \(vm.id) has an implausible number of VCPUs")
            }
            guard vm.peakCores ?? vm.cores >= vm.cores else {
                throw refuse("vms", index, "peakCores", "peakCores of \(vm.id) is below its cores")
            }
            guard vm.memoryBytes / 4 <= largest else {
                throw refuse(
                    "vms",
                    index,
                    "memoryBytes",
                    "VM \(vm.id) has over four times the memory of the largest host"
                )
            }
        }
    }

    private func checkRules() throws(FleetFileError) {
        let hosts = Set(content.hosts.map(\.name))
        let vms = Set(content.vms.map(\.id))
        var names: Set<String> = []
        for (index, rule) in (content.rules ?? []).enumerated() {
            guard names.insert(rule.name).inserted else {
                throw refuse("rules", index, "name", "rule \(rule.name) is listed twice")
            }
            guard !rule.vms.isEmpty, Set(rule.vms).count == rule.vms.count else {
                throw refuse("rules", index, "vms", "rule \(rule.name) names no VM, or one twice")
            }
            if let vm = rule.vms.first(where: { !vms.contains($0) }) {
                throw refuse("rules", index, "vms", "rule \(rule.name) names VM \(vm), which is not in this file")
            }
            if let host = rule.hosts.first(where: { !hosts.contains($0) }) {
                throw refuse("rules", index, "hosts", "rule \(rule.name) names host \(host), which is not in this file")
            }
            let isBetweenVMs = rule.kind == .together || rule.kind == .apart
            guard isBetweenVMs == rule.hosts.isEmpty else {
                let reason = isBetweenVMs ? "takes no hosts" : "needs at least one host"
                throw refuse("rules", index, "hosts", "rule \(rule.name) of kind \(rule.kind.rawValue) \(reason)")
            }
        }
    }

    private func checkPaths() throws(FleetFileError) {
        let hosts = Set(content.hosts.map(\.name))
        var seen: Set<Path> = []
        for (index, entry) in (content.paths ?? []).enumerated() {
            for (key, host) in [("source", entry.source), ("target", entry.target)] where !hosts.contains(host) {
                throw refuse("paths", index, key, "a path names host \(host), which is not in this file")
            }
            guard seen.insert(entry.path).inserted else {
                throw refuse(
                    "paths",
                    index,
                    "source",
                    "the path from \(entry.source) to \(entry.target) is listed twice"
                )
            }
            try check(entry.bytesPerSecond ?? 0, "paths", index, "bytesPerSecond", of: "\(entry.source)")
        }
    }

    /// Checks a name, which is printed in terminals and tables.
    private func check(_ name: String, _ array: String, _ index: Int, _ key: String) throws(FleetFileError) {
        guard !name.isEmpty, !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw refuse(array, index, key, "a name must not be empty or contain control characters")
        }
    }

    private func check(
        _ value: Double,
        _ array: String,
        _ index: Int,
        _ key: String,
        of subject: String
    ) throws(FleetFileError) {
        guard value >= 0 else { throw refuse(array, index, key, "\(key) of \(subject) is negative: \(value)") }
        guard value < 1e15 else { throw refuse(array, index, key, "\(key) of \(subject) is implausible: \(value)") }
    }

    /// Checks that a value is so small that sums cannot overflow.
    private func check(
        _ value: Int64,
        _ array: String,
        _ index: Int,
        _ key: String,
        of subject: String
    ) throws(FleetFileError) {
        guard value >= 0 else { throw refuse(array, index, key, "\(key) of \(subject) is negative: \(value)") }
        guard value < 1 << 50 else {
            throw refuse(array, index, key, "\(key) of \(subject) is implausible: \(value)")
        }
    }
}
