// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A cluster in the text format of Ganeti's htools (`hbal -t FILE -U FILE`).
///
/// Utilisation is in fractions of one host, whatever its size: as hbal does, each host is therefore given the same
/// capacity of CPU, network and disk, while VCPUs are counted against its own CPUs.
public struct GanetiCluster: Sendable {
    /// The fleet that the files describe; VMs are identified by their names.
    public private(set) var model: FleetModel
    /// Running VMs that the utilisation file does not name: they count as idle.
    public let withoutUtilisation: [VMID]
    /// The file as it was read, line by line.
    private let lines: [String]
    private let nodeLines: [Int: HostName]
    private let instanceLines: [Int: VMID]

    /// Capacities of network and disk in bytes per second: mere units, for the files give fractions.
    static let networkUnit = 1_250_000_000.0
    static let diskUnit = 1_000_000_000.0

    /// Reads a cluster file's text and, if there is one, its utilisation file's.
    public init(
        text: String,
        name: String,
        utilisation: String? = nil,
        utilisationName: String = "utilisation"
    ) throws(FleetFileError) {
        var reader = GanetiReader(text: text, name: name)
        try reader.readSections()
        if let utilisation { try reader.read(utilisation: utilisation, name: utilisationName) }
        model = try reader.model()
        withoutUtilisation = reader.withoutUtilisation
        lines = reader.lines
        nodeLines = reader.nodeLines
        instanceLines = reader.instanceLines
    }

    /// The same file with VMs elsewhere: primary nodes changed, and the nodes' free memory with them.
    public func text(placing placement: [VMID: HostName]) -> String {
        var freed: [HostName: Int64] = [:]
        for vm in model.vms {
            guard let host = placement[vm.id], host != vm.host else { continue }
            let mebibytes = Int64(vm.demand.memoryBytes >> 20)
            freed[vm.host, default: 0] += mebibytes
            freed[host, default: 0] -= mebibytes
        }
        var changed = lines
        for (line, host) in nodeLines {
            guard let change = freed[host], change != 0 else { continue }
            changed[line] = Self.changing(lines[line], field: 3) { "\((Int64($0) ?? 0) + change)" }
        }
        for (line, vm) in instanceLines {
            guard let host = placement[vm] else { continue }
            changed[line] = Self.changing(lines[line], field: 6) { _ in host.rawValue }
        }
        return changed.joined(separator: "\n")
    }

    private static func changing(_ line: String, field: Int, to value: (String) -> String) -> String {
        var fields = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        fields[field] = value(fields[field])
        return fields.joined(separator: "|")
    }
}
