// SPDX-License-Identifier: Apache-2.0
import Fleet
internal import Yams

/// The lists of the configuration: hosts and rules.
extension Settings {
    mutating func applyHosts(_ node: Node, file: String) throws(SettingsError) {
        inventory.hosts = []
        policy.maintenance = []
        for (index, entry) in try Self.list(node, key: "hosts", file: file).enumerated() {
            let entry = try ListEntry(entry, key: "hosts[\(index)]", file: file, known: Self.hostKeys)
            let name = HostName(try entry.text("name"))
            inventory.hosts.append(
                InventoryHost(
                    name: name,
                    address: try entry.text("address"),
                    innerAddress: try entry.text("inner_address"),
                    libvirtURI: entry.texts["libvirt_uri"] ?? "qemu+tls://\(name)/system"
                )
            )
            switch entry.texts["mode"] ?? "active" {
            case "active": break
            case "maintenance": policy.maintenance.insert(name)
            case let other: throw entry.refusal("mode", "'\(other)' is not active or maintenance")
            }
        }
    }

    mutating func applyRules(_ node: Node, file: String) throws(SettingsError) {
        policy.rules = []
        for (index, entry) in try Self.list(node, key: "rules", file: file).enumerated() {
            let entry = try ListEntry(entry, key: "rules[\(index)]", file: file, known: Self.ruleKeys)
            let kindName = try entry.text("kind")
            guard let kind = PlacementRule.Kind(rawValue: kindName) else {
                let known = PlacementRule.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw entry.refusal("kind", "'\(kindName)' is not one of \(known)")
            }
            let rule = PlacementRule(
                name: try entry.text("name"),
                kind: kind,
                vms: (entry.lists["vms"] ?? []).map { VMID($0) },
                hosts: (entry.lists["hosts"] ?? []).map { HostName($0) }
            )
            let isAmongVMs = kind == .together || kind == .apart
            guard rule.vms.count >= (isAmongVMs ? 2 : 1) else {
                throw entry.refusal("vms", isAmongVMs ? "needs at least two VMs" : "needs at least one VM")
            }
            guard rule.hosts.isEmpty == isAmongVMs else {
                throw entry.refusal(
                    "hosts",
                    isAmongVMs ? "a rule of kind '\(kind)' has no hosts" : "needs at least one host"
                )
            }
            guard !policy.rules.contains(where: { $0.name == rule.name }) else {
                throw entry.refusal("name", "'\(rule.name)' is listed twice")
            }
            policy.rules.append(rule)
        }
    }

    private static func list(_ node: Node, key: String, file: String) throws(SettingsError) -> [Node] {
        if case .sequence(let list) = node { return Array(list) }
        if case .scalar(let scalar) = node, scalar.string.isEmpty || scalar.string == "null" { return [] }
        let origin = "\(file):\(node.mark?.line ?? 0)"
        throw SettingsError(origin: origin, key: key, reason: "must be a list")
    }

    static let hostKeys = ["name", "address", "inner_address", "libvirt_uri", "mode"]
    static let ruleKeys = ["name", "kind", "vms", "hosts"]
}

/// One entry of a list: a mapping of keys to a string or to a list of strings.
private struct ListEntry {
    let key: String
    let origin: String
    var texts: [String: String] = [:]
    var lists: [String: [String]] = [:]

    init(_ node: Node, key: String, file: String, known: [String]) throws(SettingsError) {
        self.key = key
        origin = "\(file):\(node.mark?.line ?? 0)"
        guard case .mapping(let mapping) = node else {
            throw SettingsError(
                origin: origin,
                key: key,
                reason: "must be a mapping of \(known.joined(separator: ", "))"
            )
        }
        for (name, value) in mapping {
            let origin = "\(file):\(name.mark?.line ?? 0)"
            guard let name = name.string else {
                throw SettingsError(origin: origin, key: key, reason: "its keys must be strings")
            }
            guard known.contains(name) else {
                throw SettingsError(
                    origin: origin,
                    key: "\(key).\(name)",
                    reason: "unknown key; known keys are \(known.joined(separator: ", "))"
                )
            }
            let list = value.sequence.map { $0.compactMap(\.scalar?.string) }
            if let text = value.scalar?.string {
                texts[name] = text
            } else if let list, list.count == value.sequence?.count {
                lists[name] = list
            } else {
                throw SettingsError(
                    origin: origin,
                    key: "\(key).\(name)",
                    reason: "must be a string or a list of strings"
                )
            }
        }
    }

    func text(_ name: String) throws(SettingsError) -> String {
        guard let text = texts[name], !text.isEmpty else { throw refusal(name, "is missing") }
        return text
    }

    func refusal(_ name: String, _ reason: String) -> SettingsError {
        SettingsError(origin: origin, key: "\(key).\(name)", reason: reason)
    }
}
