// SPDX-License-Identifier: Apache-2.0
import Fleet
internal import Foundation
internal import Yams

extension Settings {
    /// Reads the configuration: flags override the environment, which overrides the file, which overrides the defaults.
    ///
    /// `file` is the file's name and text, if there is one. Variables that begin with `EVENKEEL_` must be known keys.
    /// `flags` are `key=value` pairs from the command line. Throws for an unknown key, an invalid value, or values that
    /// contradict each other.
    public static func load(
        file: (name: String, text: String)?,
        environment: [String: String] = [:],
        flags: [String] = []
    ) throws(SettingsError) -> Settings {
        var settings = Settings()
        if let file { try settings.apply(file: file.name, text: file.text) }
        for (variable, value) in environment.sorted(by: { $0.key < $1.key })
        where variable.hasPrefix("EVENKEEL_") && variable != configurationVariable {
            guard let key = SettingKey.all.first(where: { $0.variable == variable }) else {
                let removed = SettingKey.removed.first { SettingKey.variable($0.key) == variable }?.value
                throw SettingsError(
                    origin: "environment",
                    key: variable,
                    reason: removed ?? "unknown variable; 'evenkeel configuration' prints all of them"
                )
            }
            try settings.set(key, to: value, origin: "environment")
        }
        for flag in flags {
            guard let split = flag.firstIndex(of: "=") else {
                throw SettingsError(origin: "--set", key: flag, reason: "not of the form key=value")
            }
            let path = String(flag[..<split])
            guard let key = SettingKey.all.first(where: { $0.path == path }) else {
                throw SettingsError(origin: "--set", key: path, reason: unknown(path))
            }
            try settings.set(key, to: String(flag[flag.index(after: split)...]), origin: "--set")
        }
        try settings.validate(origin: file?.name ?? "configuration")
        return settings
    }

    /// The environment variable that names the file.
    public static let configurationVariable = "EVENKEEL_CONFIG"

    private mutating func set(_ key: SettingKey, to value: String, origin: String) throws(SettingsError) {
        do {
            try key.set(&self, value)
        } catch {
            throw SettingsError(origin: origin, key: key.path, reason: error.reason)
        }
    }

    private static func unknown(_ path: String) -> String {
        if let reason = SettingKey.removed[path] { return reason }
        let near = SettingKey.all.map(\.path).filter {
            $0.split(separator: ".").last == path.split(separator: ".").last
        }
        return near.isEmpty ? "unknown key" : "unknown key; did you mean \(near.joined(separator: " or "))?"
    }
}

// MARK: the file

extension Settings {
    private mutating func apply(file: String, text: String) throws(SettingsError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw SettingsError(origin: file, key: "", reason: "not valid YAML: \(error)")
        }
        guard let root else { return }
        try apply(root, path: "", file: file)
    }

    private mutating func apply(_ node: Node, path: String, file: String) throws(SettingsError) {
        let origin = "\(file):\(node.mark?.line ?? 0)"
        if let key = SettingKey.all.first(where: { $0.path == path }) {
            if key.isList, case .sequence(let list) = node {
                let parts = list.compactMap(\.scalar?.string)
                guard parts.count == list.count else {
                    throw SettingsError(origin: origin, key: path, reason: "must be a list of strings")
                }
                try set(key, to: parts.joined(separator: ","), origin: origin)
                return
            }
            guard case .scalar(let scalar) = node else {
                throw SettingsError(
                    origin: origin,
                    key: path,
                    reason: "must be a single value, not a list or mapping"
                )
            }
            try set(key, to: scalar.string, origin: origin)
            return
        }
        switch path {
        case "hosts": return try applyHosts(node, file: file)
        case "rules": return try applyRules(node, file: file)
        default: break
        }
        let isSection = path.isEmpty || SettingKey.all.contains { $0.path.hasPrefix(path + ".") }
        guard isSection else { throw SettingsError(origin: origin, key: path, reason: Self.unknown(path)) }
        guard case .mapping(let mapping) = node else {
            // A section whose keys are all commented out counts as missing.
            if case .scalar(let scalar) = node, scalar.string.isEmpty || scalar.string == "null" { return }
            throw SettingsError(origin: origin, key: path, reason: "must be a mapping of keys to values")
        }
        for (name, value) in mapping {
            guard let name = name.string else {
                throw SettingsError(origin: origin, key: path, reason: "its keys must be strings")
            }
            try apply(value, path: path.isEmpty ? name : "\(path).\(name)", file: file)
        }
    }
}

// MARK: values that must go together

extension Settings {
    /// Far below the number of names that readers of the ledger list of a folder.
    private static let mostSegments: UInt64 = 1000

    private func validate(origin: String) throws(SettingsError) {
        func refuse(_ key: String, _ reason: String) -> SettingsError {
            SettingsError(origin: origin, key: key, reason: reason)
        }
        for (name, thresholds) in [("cpu", policy.cpu), ("memory", policy.memory)]
        where thresholds.lower > thresholds.upper {
            throw refuse("policy.\(name).lower", "must not be above policy.\(name).upper")
        }
        guard policy.overloadSamples <= policy.overloadWindow else {
            throw refuse("policy.overload_samples", "must not be above policy.overload_window")
        }
        guard policy.shortWindow <= policy.longWindow else {
            throw refuse("policy.short_window", "must not be above policy.long_window")
        }
        guard policy.staleAfter >= sampling.interval else {
            throw refuse("policy.stale_after", "must not be below sampling.interval: every host would be stale")
        }
        let kept = ledger.retention
        for (name, retention) in [("load", kept.load), ("orders", kept.orders), ("reports", kept.reports)]
        where UInt64(clamping: retention.bytes) / max(1, ledger.segmentBytes) > Self.mostSegments {
            throw refuse(
                "ledger.retention.\(name).size",
                "must not be above \(Self.mostSegments) times ledger.segment_size: each file slows down every reader"
            )
        }
        for host in inventory.hosts where host.libvirtURI.contains("+tcp://") {
            // TCP carries definitions with their secrets and authenticates no peer: only inside the tunnel.
            guard host.libvirtURI.hasPrefixAfterScheme(host.innerAddress) else {
                throw refuse(
                    "hosts.libvirt_uri",
                    "\(host.libvirtURI) is not encrypted: use +tls, +ssh, or the inner address"
                )
            }
        }
        let known = Set(inventory.hosts.map(\.name))
        for rule in policy.rules {
            if let host = rule.hosts.first(where: { !known.contains($0) }) {
                throw refuse("rules", "rule '\(rule.name)' names host '\(host)', which is not in 'hosts'")
            }
        }
        var seen: Set<String> = []
        for host in inventory.hosts {
            for value in [host.name.rawValue, host.address, host.innerAddress] where !seen.insert(value).inserted {
                throw refuse("hosts", "'\(value)' is listed twice")
            }
        }
    }
}

extension String {
    /// Returns whether the part after `://` is this host, alone or followed by a port or path.
    fileprivate func hasPrefixAfterScheme(_ host: String) -> Bool {
        guard let scheme = range(of: "://") else { return false }
        let rest = self[scheme.upperBound...]
        return [host, "[\(host)]"].contains { rest == $0 || rest.hasPrefix("\($0)/") || rest.hasPrefix("\($0):") }
    }
}
