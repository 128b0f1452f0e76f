// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A cluster in the text format of Ganeti's htools (`hbal -t FILE -U FILE`).
///
/// Utilisation is in fractions of one host, whatever its size. Therefore each host has the same capacity of CPU,
/// network and disk, as in hbal, while VCPUs are counted against the host's own CPUs.
public struct GanetiCluster: Sendable {
    /// The fleet in the files; VMs are identified by their names.
    public private(set) var model: FleetModel
    /// Running VMs that the utilisation file does not list: they count as idle.
    public let withoutUtilisation: [VMID]
    /// The lines of the file, unchanged.
    private let lines: [String]
    private let nodeLines: [Int: HostName]
    private let instanceLines: [Int: VMID]

    /// Capacities of network and disk in bytes per second: arbitrary units, because the files contain fractions.
    static let networkUnit = 1_250_000_000.0
    static let diskUnit = 1_000_000_000.0

    /// Reads the text of a cluster file and, if there is one, of its utilisation file.
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

    /// Returns the same file with another placement: with changed primary nodes and free memory of nodes.
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
