// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Reads the sections of a cluster file: groups, nodes, instances, cluster tags, policies.
///
/// Fields as in Ganeti's htools, Backend/Text.hs:
/// node `name|total MiB|own MiB|free MiB|total disk|free disk|CPUs|role|group[|spindles...]`,
/// instance `name|MiB|disk|VCPUs|status|auto balance|primary|secondary|template|tags[|spindle use...]`.
struct GanetiReader {
    let name: String
    let lines: [String]
    private(set) var nodeLines: [Int: HostName] = [:]
    private(set) var instanceLines: [Int: VMID] = [:]
    private var groups: Set<String> = []
    private var nodes: [Node] = []
    private var instances: [Instance] = []
    private var numbers: [String: Int] = [:]
    private var utilisation: [String: [Double]]?
    /// Prefixes of tags that keep instances apart (`htools:iextags:PREFIX`).
    private var exclusionPrefixes: [String] = []

    private struct Node {
        var name: String
        var totalMebibytes: UInt64
        var freeMebibytes: UInt64
        var cpus: Int
        var mode: HostMode
        var group: String
        var line: Int
    }

    private struct Instance {
        var name: String
        var mebibytes: UInt64
        var vcpus: Int
        var status: String
        var node: Int
        var staysBecause: StayReason?
        var tags: [String]
        var line: Int
    }

    init(text: String, name: String) {
        self.name = name
        // Kept unchanged, so that a rewritten file differs only in the placement.
        lines = text.replacing("\r\n", with: "\n").split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
    }

    private func refuse(_ line: Int?, _ reason: String) -> FleetFileError {
        FleetFileError(file: name, line: line.map { $0 + 1 }, reason: reason)
    }

    // MARK: sections

    mutating func readSections() throws(FleetFileError) {
        var section = 0
        for (number, line) in lines.enumerated() {
            guard !line.isEmpty else {
                // The text after the last newline is not a line.
                if number < lines.count - 1 { section += 1 }
                continue
            }
            let fields = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            switch section {
            case 0: try readGroup(fields, line: number)
            case 1: try readNode(fields, line: number)
            case 2: try readInstance(fields, line: number)
            case 3: readClusterTag(line)
            default: break
            }
        }
        guard !groups.isEmpty else {
            throw refuse(nil, "no group: the file is empty or not in the text format of htools")
        }
        guard !nodes.isEmpty else { throw refuse(nil, "no node: the file ends before its second section") }
        guard section >= 3 else {
            throw refuse(lines.count - 1, "the file ends in section \(section + 1) of 5: it is truncated")
        }
    }

    private mutating func readGroup(_ fields: [String], line: Int) throws(FleetFileError) {
        guard fields.count >= 3 else {
            throw refuse(line, "a group has at least 3 fields (name|uuid|policy), this line has \(fields.count)")
        }
        guard groups.insert(fields[1]).inserted else { throw refuse(line, "group \(fields[1]) is listed twice") }
    }

    private mutating func readClusterTag(_ tag: String) {
        let mark = "htools:iextags:"
        if tag.hasPrefix(mark) { exclusionPrefixes.append(String(tag.dropFirst(mark.count))) }
    }

    private mutating func readNode(_ fields: [String], line: Int) throws(FleetFileError) {
        guard fields.count >= 9 else {
            throw refuse(line, "a node has at least 9 fields, this line has \(fields.count): is it cut off?")
        }
        guard !fields[0].isEmpty else { throw refuse(line, "this node has no name") }
        guard groups.contains(fields[8]) else {
            throw refuse(line, "node \(fields[0]) belongs to group \(fields[8]), which is not in the first section")
        }
        let mode: HostMode
        switch fields[7] {
        case "M", "N": mode = .active
        case "D": mode = .maintenance
        case "Y", "O": mode = .failed
        default:
            throw refuse(line, "node \(fields[0]) has the unknown role \(fields[7]); known roles are M, N, D, Y and O")
        }
        let total = try mebibytes(fields[1], "total memory", of: fields[0], line: line)
        let free = try mebibytes(fields[3], "free memory", of: fields[0], line: line)
        guard free <= total else { throw refuse(line, "node \(fields[0]) has more free memory than total memory") }
        let cpus = try count(fields[6], "CPUs", of: fields[0], line: line)
        guard mode == .failed || total > 0 && cpus > 0 else {
            throw refuse(line, "node \(fields[0]) is in use but has no memory or no CPU")
        }
        guard numbers.updateValue(nodes.count, forKey: fields[0]) == nil else {
            throw refuse(line, "node \(fields[0]) is listed twice")
        }
        nodeLines[line] = HostName(fields[0])
        nodes.append(
            Node(
                name: fields[0],
                totalMebibytes: total,
                freeMebibytes: free,
                cpus: cpus,
                mode: mode,
                group: fields[8],
                line: line
            )
        )
    }

    private mutating func readInstance(_ fields: [String], line: Int) throws(FleetFileError) {
        guard fields.count >= 10 else {
            throw refuse(
                line,
                "an instance has at least 10 fields, this line has \(fields.count): is it cut off, or is there a blank "
                    + "line among the nodes?"
            )
        }
        guard !fields[0].isEmpty else { throw refuse(line, "this instance has no name") }
        guard let node = numbers[fields[6]] else {
            throw refuse(line, "instance \(fields[0]) is on \(fields[6]), which is not a node in this file")
        }
        guard Self.running.contains(fields[4]) || Self.down.contains(fields[4]) else {
            throw refuse(line, "instance \(fields[0]) has the status \(fields[4]), which Ganeti does not have")
        }
        guard Self.local.union(Self.shared).union(["drbd"]).contains(fields[8]) else {
            throw refuse(line, "instance \(fields[0]) has the disk template \(fields[8]), which Ganeti does not have")
        }
        instanceLines[line] = VMID(fields[0])
        instances.append(
            Instance(
                name: fields[0],
                mebibytes: try mebibytes(fields[1], "memory", of: fields[0], line: line),
                vcpus: try count(fields[3], "VCPUs", of: fields[0], line: line),
                status: fields[4],
                node: node,
                staysBecause: Self.reasonToStay(template: fields[8], autoBalance: fields[5], secondary: fields[7]),
                tags: fields[9].split(separator: ",").map(String.init),
                line: line
            )
        )
    }

    private static let running: Set = [
        "running", "ERROR_up", "ERROR_nodedown", "ERROR_nodeoffline", "ERROR_wrongnode",
    ]
    private static let down: Set = ["USER_down", "ADMIN_down", "ADMIN_offline", "ERROR_down"]
    private static let local: Set = ["plain", "file"]
    private static let shared: Set = ["diskless", "sharedfile", "blockdev", "rbd", "ext", "gluster"]

    private static func reasonToStay(template: String, autoBalance: String, secondary: String) -> StayReason? {
        if autoBalance == "N" { return .autoBalanceOff }
        if template == "drbd" { return .mirroredDisks(to: secondary) }
        return local.contains(template) ? .localDisks(template: template) : nil
    }

    // MARK: figures

    private func mebibytes(
        _ text: String,
        _ what: String,
        of subject: String,
        line: Int
    ) throws(FleetFileError) -> UInt64 {
        UInt64(try count(text, what, of: subject, line: line))
    }

    /// Returns a whole number that cannot make later arithmetic overflow.
    private func count(_ text: String, _ what: String, of subject: String, line: Int) throws(FleetFileError) -> Int {
        guard let value = Int(text) else {
            throw refuse(line, "\(what) of \(subject): '\(text)' is not a whole number")
        }
        guard value >= 0 else { throw refuse(line, "\(what) of \(subject): \(value) is negative") }
        guard value < 1 << 40 else { throw refuse(line, "\(what) of \(subject): \(value) is implausible") }
        return value
    }

    // MARK: utilisation

    mutating func read(utilisation text: String, name: String) throws(FleetFileError) {
        let known = Set(instances.map(\.name))
        var loads: [String: [Double]] = [:]
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            func refuse(_ reason: String) -> FleetFileError {
                FleetFileError(file: name, line: number + 1, reason: reason)
            }
            let fields = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard let instance = fields.first else { continue }
            guard fields.count == 5 else {
                throw refuse("a line has 5 fields (name, CPU, memory, disk, network), this line has \(fields.count)")
            }
            guard known.contains(instance) else { throw refuse("\(instance) is not an instance in the cluster file") }
            let figures = fields.dropFirst().compactMap { Double($0) }
            guard figures.count == 4, figures.allSatisfy({ $0.isFinite && $0 < 1e6 }) else {
                throw refuse("\(instance) has a value that is not a number, or implausible")
            }
            guard figures.allSatisfy({ $0 >= 0 }) else { throw refuse("\(instance) has a negative value") }
            guard loads.updateValue(figures, forKey: instance) == nil else {
                throw refuse("\(instance) is listed twice")
            }
        }
        utilisation = loads
    }

    /// The running instances that the utilisation file, if there is one, does not list.
    var withoutUtilisation: [VMID] {
        guard let utilisation else { return [] }
        return instances.filter { Self.running.contains($0.status) && utilisation[$0.name] == nil }
            .map { VMID($0.name) }
    }

    // MARK: the fleet

    func model() throws(FleetFileError) -> FleetModel {
        var seen: Set<String> = []
        for instance in instances where !seen.insert(instance.name).inserted {
            throw refuse(instance.line, "instance \(instance.name) is listed twice")
        }
        let cores = Double(nodes.map(\.cpus).max() ?? 0)
        var memory = [UInt64](repeating: 0, count: nodes.count)
        for instance in instances where Self.running.contains(instance.status) {
            memory[instance.node] += instance.mebibytes
        }
        var hosts: [Host] = []
        for (number, node) in nodes.enumerated() {
            guard memory[number] <= node.totalMebibytes - node.freeMebibytes else {
                throw refuse(
                    node.line,
                    "node \(node.name) has \(node.freeMebibytes) MiB free of \(node.totalMebibytes) MiB, but its instances "
                        + "use \(memory[number]) MiB"
                )
            }
            let own = node.totalMebibytes - node.freeMebibytes - memory[number]
            hosts.append(
                Host(
                    name: HostName(node.name),
                    capacity: Resources(
                        cpuCores: cores,
                        memoryBytes: node.totalMebibytes << 20,
                        networkBytesPerSecond: utilisation == nil ? 0 : GanetiCluster.networkUnit,
                        diskBytesPerSecond: utilisation == nil ? 0 : GanetiCluster.diskUnit
                    ),
                    own: Resources(memoryBytes: own << 20),
                    cpus: node.cpus,
                    mode: node.mode,
                    group: node.group
                )
            )
        }
        let vms = instances.map { virtualMachine($0, cores: cores) }
        return FleetModel(at: Instant(milliseconds: 0), hosts: hosts, vms: vms, rules: rules())
    }

    private func virtualMachine(_ instance: Instance, cores: Double) -> VirtualMachine {
        let load = utilisation?[instance.name] ?? [0, 0, 0, 0]
        let isRunning = Self.running.contains(instance.status)
        return VirtualMachine(
            id: VMID(instance.name),
            name: instance.name,
            host: HostName(nodes[instance.node].name),
            demand: Resources(
                cpuCores: load[0] * cores,
                memoryBytes: isRunning ? instance.mebibytes << 20 : 0,
                networkBytesPerSecond: load[3] * GanetiCluster.networkUnit,
                diskBytesPerSecond: load[2] * GanetiCluster.diskUnit
            ),
            vcpus: isRunning ? instance.vcpus : 0,
            state: isRunning ? .running : .shutOff,
            staysBecause: instance.staysBecause
        )
    }

    private func rules() -> [PlacementRule] {
        var members: [String: [VMID]] = [:]
        for instance in instances {
            for tag in instance.tags where exclusionPrefixes.contains(where: { tag.hasPrefix($0 + ":") }) {
                members[tag, default: []].append(VMID(instance.name))
            }
        }
        return members.filter { $0.value.count > 1 }.sorted { $0.key < $1.key }
            .map { PlacementRule(name: $0.key, kind: .apart, vms: $0.value) }
    }
}
