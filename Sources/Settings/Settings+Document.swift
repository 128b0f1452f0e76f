// SPDX-License-Identifier: Apache-2.0
import Fleet

extension Settings {
    /// A configuration file with every key, its meaning and this value; keys that are unset are commented out.
    public func documentedFile() -> String {
        var lines = [
            "# Evenkeel's configuration. Flags (--set key=value) go over the environment, which goes over this file."
        ]
        var section: [Substring] = []
        for key in SettingKey.all {
            let parts = key.path.split(separator: ".")
            let parents = parts.dropLast()
            let common = zip(section, parents).prefix { $0 == $1 }.count
            for (depth, name) in parents.enumerated().dropFirst(common) {
                if depth == 0 { lines.append("") }
                lines.append(Self.indent(depth) + "\(name):")
            }
            section = Array(parents)
            let indent = Self.indent(parents.count)
            lines.append("\(indent)# \(key.meaning) [\(key.variable)]")
            let value = key.show(self)
            lines.append("\(indent)\(value == nil ? "# " : "")\(parts.last ?? ""): \(value ?? "…")")
        }
        lines.append(
            "\n# The hosts of the fleet: name, address on the LAN, inner address (exists only inside the tunnels),"
        )
        lines.append("# the libvirt URI under which the others reach it; mode: maintenance empties it.")
        lines.append("hosts:\(inventory.hosts.isEmpty ? " []" : "")")
        for host in inventory.hosts {
            lines.append("  - name: \(host.name)")
            lines.append("    address: \(host.address)")
            lines.append("    inner_address: \(host.innerAddress)")
            lines.append("    libvirt_uri: \(host.libvirtURI)")
            if policy.maintenance.contains(host.name) { lines.append("    mode: maintenance") }
        }
        lines.append(
            "\n# Rules on where VMs, named by uuid or name, may be: together, apart (of each other); onlyOn, neverOn,"
        )
        lines.append("# preferably (hosts). For example:")
        lines.append("#   - {name: web, kind: apart, vms: [web-1, web-2]}")
        lines.append("#   - {name: licence, kind: onlyOn, vms: [db], hosts: [h1, h2]}")
        lines.append("rules:\(policy.rules.isEmpty ? " []" : "")")
        for rule in policy.rules {
            let hosts = rule.hosts.isEmpty ? "" : ", hosts: [\(rule.hosts.map(\.rawValue).joined(separator: ", "))]"
            let vms = rule.vms.map(\.rawValue).joined(separator: ", ")
            lines.append("  - {name: \(rule.name), kind: \(rule.kind.rawValue), vms: [\(vms)]\(hosts)}")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }
}

extension Settings {
    /// The policy's keys with these values, as they stand in a file.
    public var documentedPolicy: [(key: String, value: String)] {
        SettingKey.all.filter { $0.path.hasPrefix("policy.") }.compactMap { key in
            key.show(self).map { (key.path, $0) }
        }
    }
}
