// SPDX-License-Identifier: Apache-2.0
import Fleet

extension Settings {
    /// Returns a configuration file with every key, its meaning and this value; keys that are unset are commented out.
    public func documentedFile() -> String {
        var lines = [
            "# Configuration of Evenkeel. Flags (--set key=value) override environment variables (in brackets), which override this file.",
            "",
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
            let value = key.show(self).map { key.isList ? "[\($0)]" : Self.yaml($0) }
            lines.append("\(indent)\(value == nil ? "# " : "")\(parts.last ?? ""): \(value ?? "…")")
        }
        lines.append(
            """

            # Hosts of the fleet. address: on the LAN; inner_address: exists only inside the tunnels; libvirt_uri: for the
            # other hosts (default: qemu+tls://NAME/system); mode: active (default) or maintenance (its VMs leave).
            """
        )
        lines.append("hosts:\(inventory.hosts.isEmpty ? " []" : "")")
        for host in inventory.hosts {
            lines.append("  - name: \(Self.yaml(host.name.rawValue))")
            lines.append("    address: \(Self.yaml(host.address))")
            lines.append("    inner_address: \(Self.yaml(host.innerAddress))")
            lines.append("    libvirt_uri: \(Self.yaml(host.libvirtURI))")
            if policy.maintenance.contains(host.name) { lines.append("    mode: maintenance") }
        }
        lines.append(
            """

            # Placement rules for VMs, by name or UUID. kind: together or apart (on the same or on different hosts);
            # onlyOn, neverOn or preferably (on the given hosts). Examples:
            #   - {name: web, kind: apart, vms: [web-1, web-2]}
            #   - {name: licence, kind: onlyOn, vms: [db], hosts: [h1, h2]}
            """
        )
        lines.append("rules:\(policy.rules.isEmpty ? " []" : "")")
        for rule in policy.rules {
            let hosts = rule.hosts.isEmpty ? "" : ", hosts: \(Self.yaml(rule.hosts.map(\.rawValue)))"
            let vms = Self.yaml(rule.vms.map(\.rawValue))
            lines.append("  - {name: \(Self.yaml(rule.name)), kind: \(rule.kind.rawValue), vms: \(vms)\(hosts)}")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func yaml(_ texts: [String]) -> String { "[\(texts.map(yaml).joined(separator: ", "))]" }

    /// Returns a YAML scalar that parses to the same text: in quotes, unless every character is plain.
    private static func yaml(_ text: String) -> String {
        let isPlain = text.allSatisfy { $0.isLetter || "0123456789-._/+%".contains($0) }
        let beginsPlain = text.first.map { $0.isLetter || "0123456789/".contains($0) }
        return isPlain && beginsPlain == true ? text : quoted(text)
    }

    private static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar -> String in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f: "\\x" + hexadecimal(scalar.value)
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }

    private static func hexadecimal(_ value: UInt32) -> String { (value < 16 ? "0" : "") + String(value, radix: 16) }

    private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }
}

extension Settings {
    /// The keys of the policy with these values, in the format of the file.
    public var documentedPolicy: [(key: String, value: String)] {
        SettingKey.all.filter { $0.path.hasPrefix("policy.") }.compactMap { key in
            key.show(self).map { (key.path, $0) }
        }
    }
}
