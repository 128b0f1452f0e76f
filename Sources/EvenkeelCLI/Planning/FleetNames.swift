// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The reasons why a name does not identify a VM or host.
enum FleetNameError: Error, CustomStringConvertible {
    case unknown(String, String, near: [String])
    case ambiguous(String, meanings: [String])

    var description: String {
        switch self {
        case .unknown(let kind, let name, let near):
            "unknown \(kind) '\(name)'"
                + (near.isEmpty ? "" : "; did you mean \(near.joined(separator: ", "))?")
        case .ambiguous(let name, let meanings):
            "'\(name)' is ambiguous: \(meanings.joined(separator: ", ")). Give the UUID of a VM, or add --host or --vm."
        }
    }
}

/// Resolves names on the command line.
enum FleetNames {
    enum Meaning: Equatable {
        case vm(VMID)
        case host(HostName)
    }

    enum Kind { case vm, host }

    static func meaning(of name: String, in model: FleetModel, kind: Kind? = nil) throws(FleetNameError) -> Meaning {
        let vms = kind == .host ? [] : model.vms.filter { $0.name == name || $0.id.rawValue == name }
        let hosts = kind == .vm ? [] : model.hosts.filter { $0.name.rawValue == name }
        if hosts.isEmpty, let vm = vms.first(where: { $0.id.rawValue == name }) { return .vm(vm.id) }
        guard vms.count + hosts.count <= 1 else {
            throw .ambiguous(
                name,
                meanings: hosts.map { "host \($0.name)" } + vms.map { "VM \($0.id) on \($0.host)" }
            )
        }
        if let vm = vms.first { return .vm(vm.id) }
        if let host = hosts.first { return .host(host.name) }
        var names = kind == .vm ? [] : model.hosts.map(\.name.rawValue)
        if kind != .host { names += model.vms.map(\.name) }
        let wanted = kind == .vm ? "VM" : kind == .host ? "host" : "VM or host"
        throw .unknown(wanted, name, near: near(name, among: names))
    }

    /// Returns up to five names that differ from the typed one by few characters, or contain it.
    static func near(_ name: String, among names: [String]) -> [String] {
        let typed = Array(name.lowercased().utf8)
        let most = max(1, typed.count / 3)
        let ranked: [(distance: Int, name: String)] = names.compactMap { candidate in
            let other = Array(candidate.lowercased().utf8)
            if abs(other.count - typed.count) <= most {
                let distance = changes(from: typed, to: other)
                if distance <= most { return (distance, candidate) }
            }
            let contains = typed.count >= 2 && candidate.lowercased().contains(name.lowercased())
            return contains ? (most + 1, candidate) : nil
        }
        var seen: Set<String> = []
        return ranked.sorted { $0 < $1 }.map(\.name).filter { seen.insert($0).inserted }.prefix(5).map { $0 }
    }

    /// Returns the Levenshtein distance.
    private static func changes(from one: [UInt8], to other: [UInt8]) -> Int {
        var row = Array(0...other.count)
        for (i, byte) in one.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, its) in other.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (byte == its ? 0 : 1))
                diagonal = above
            }
        }
        return row[other.count]
    }
}
