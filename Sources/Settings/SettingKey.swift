// SPDX-License-Identifier: Apache-2.0
import Fleet

/// One key of the configuration: its dotted path, its meaning, and functions that parse and format its value.
public struct SettingKey: Sendable {
    public let path: String
    public let meaning: String
    let set: @Sendable (inout Settings, String) throws(ValueError) -> Void
    /// Returns the value in the format of the file; `nil` if unset.
    let show: @Sendable (Settings) -> String?
    /// Whether the value is a list: separated by commas; a file may also contain a YAML list.
    var isList = false

    /// The environment variable of the key: `EVENKEEL_POLICY_CPU_UPPER` for `policy.cpu.upper`.
    public var variable: String { Self.variable(path) }
}

extension SettingKey {
    /// Every key except the lists `hosts` and `rules`, in the order of the documented file.
    public static let all: [SettingKey] = general + identity + escort + policy + planning

    /// Keys of earlier releases, with the reason and the next step for each.
    static let removed = [
        "escort.ipsec_mode": "transport mode was removed; every host uses tunnel mode. Remove this setting."
    ]

    static func variable(_ path: String) -> String {
        "EVENKEEL_" + path.uppercased().replacing(".", with: "_")
    }

    /// Returns a key for one field of the settings.
    private static func key<Value>(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, Value> & Sendable,
        parse: @escaping @Sendable (String) throws(ValueError) -> Value,
        show: @escaping @Sendable (Value) -> String?
    ) -> SettingKey {
        SettingKey(path: path, meaning: meaning) { settings, text throws(ValueError) in
            settings[keyPath: field] = try parse(text)
        } show: {
            show($0[keyPath: field])
        }
    }

    private static func duration(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, Duration> & Sendable
    ) -> SettingKey {
        key(path, meaning, field, parse: { text throws(ValueError) in try parseDuration(text) }, show: format(_:))
    }

    private static func size(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, UInt64> & Sendable
    ) -> SettingKey {
        key(path, meaning, field, parse: { text throws(ValueError) in try parseSize(text) }, show: format(size:))
    }

    private static func share(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, Double> & Sendable
    ) -> SettingKey {
        key(path, meaning, field, parse: { text throws(ValueError) in try parseShare(text) }, show: format(share:))
    }

    private static func flag(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, Bool> & Sendable
    ) -> SettingKey { key(path, meaning, field, parse: parseBool, show: { String($0) }) }

    private static func count(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, Int> & Sendable
    ) -> SettingKey { key(path, meaning, field, parse: parseCount, show: { String($0) }) }

    private static func path(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, String> & Sendable
    ) -> SettingKey { key(path, meaning, field, parse: parsePath, show: { $0 }) }

    private static func optionalText(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, String?> & Sendable
    ) -> SettingKey {
        key(path, meaning, field, parse: { text throws(ValueError) in try parseText(text) }, show: { $0 })
    }

    private static func optionalPath(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, String?> & Sendable
    ) -> SettingKey {
        key(path, meaning, field, parse: { text throws(ValueError) in try parsePath(text) }, show: { $0 })
    }

    private static let identity: [SettingKey] = [
        path(
            "identity.folder",
            "Identity of this host: its key, its certificate and the roster it trusts (created by 'evenkeel host add')",
            \.identity.folder
        ),
        path("identity.controller", "Identity of the controller (created by 'evenkeel init')", \.identity.controller),
        path(
            "identity.operator",
            "Identity of the operator, which signs manual orders (created by 'evenkeel init')",
            \.identity.operator
        ),
        optionalPath(
            "identity.libvirt_pki",
            "Folder to which the agent copies the certificate for libvirt and QEMU, such as /etc/pki (default: none)",
            \.identity.libvirtPKI
        ),
    ]

    private static let general: [SettingKey] = [
        optionalText(
            "host",
            "Name of the host an agent runs on, as in 'hosts' (default: the system's host name)",
            \.host
        ),
        path(
            "ledger.folder",
            "Folder of the ledger, on storage that all agents and the controller share",
            \.ledger.folder
        ),
        duration(
            "ledger.lock_timeout",
            "Maximum time to wait for the file lock before appending",
            \.ledger.lockTimeout
        ),
        size(
            "ledger.segment_size",
            "Size at which a new file of the ledger is started",
            \.ledger.segmentBytes
        ),
        duration(
            "ledger.retention.load.age",
            "Time after which a file of load samples is removed, counted from its last record",
            \.ledger.retention.load.age
        ),
        size(
            "ledger.retention.load.size",
            "Maximum size of the load samples of each host",
            \.ledger.retention.load.bytes
        ),
        duration(
            "ledger.retention.orders.age",
            "Time after which a file of orders is removed, counted from its last record",
            \.ledger.retention.orders.age
        ),
        size("ledger.retention.orders.size", "Maximum size of all orders", \.ledger.retention.orders.bytes),
        duration(
            "ledger.retention.reports.age",
            "Time after which a file of reports is removed, counted from its last record; reports of kept orders stay",
            \.ledger.retention.reports.age
        ),
        size("ledger.retention.reports.size", "Maximum size of all reports", \.ledger.retention.reports.bytes),
        duration(
            "ledger.poll_interval",
            "Interval at which agents and controller check for new records",
            \.ledger.pollInterval
        ),
        flag(
            "ledger.unsigned",
            "Whether to leave records unsigned and unverified; anyone who can write to the folder can then order moves",
            \.ledger.unsigned
        ),
        optionalText(
            "ledger.marks",
            "Local file that records how far an agent or controller has read the ledger (default: "
                + "/var/lib/evenkeel/marks-WRITER.json)",
            \.ledger.marks
        ),
        duration("sampling.interval", "Interval at which an agent samples the load of its host", \.sampling.interval),
        optionalText(
            "sampling.cgroup",
            "Control group that limits the CPU and memory of this host (default: none, the whole machine)",
            \.sampling.cgroup
        ),
        key(
            "hypervisor.uri",
            "libvirt URI of this host's hypervisor",
            \.hypervisorURI,
            parse: parseText,
            show: { $0 }
        ),
        duration("migration.time_limit", "Maximum duration of a migration", \.migration.timeLimit),
        duration(
            "migration.stall_limit",
            "Maximum time for which a migration may send nothing",
            \.migration.stallLimit
        ),
        duration(
            "migration.max_downtime",
            "Maximum expected downtime at which pre-copy may stop the VM",
            \.migration.maxDowntime
        ),
        path(
            "migration.sealed_folder",
            "Folder in memory (tmpfs) for the unencrypted VM image of a sealed move; must have room for one image",
            \.migration.sealedFolder
        ),
        optionalPath(
            "migration.sealed_storage",
            "Folder on storage shared by all hosts, for encrypted VM images (default: 'sealed' in ledger.folder)",
            \.migration.sealedStorage
        ),
        stretchedNetworks,
    ]

    private static let stretchedNetworks: SettingKey = {
        var setting = key(
            "migration.stretched_networks",
            "libvirt networks that are the same on all hosts although libvirt routes, translates or isolates them",
            \.migration.stretchedNetworks,
            parse: { text in
                text.split(separator: ",").map { String($0.drop { $0 == " " }) }.filter { !$0.isEmpty }
            },
            show: { $0.joined(separator: ", ") }
        )
        setting.isList = true
        return setting
    }()

    private static let escort: [SettingKey] = [
        optionalPath(
            "escort.psk_file",
            "File with pre-shared keys for the mesh; weaker than certificates, see docs/mesh.md (default: none)",
            \.escort.pskFile
        ),
        optionalText(
            "escort.vici",
            "vici socket of strongSwan's charon (default: that of swanctl)",
            \.escort.viciSocket
        ),
        path(
            "escort.folder",
            "Folder for the generated strongSwan configuration; swanctl.conf must include it",
            \.escort.folder
        ),
        flag(
            "escort.own_charon",
            "Whether charon serves only Evenkeel; it then loads nothing but the generated configuration",
            \.escort.ownCharon
        ),
        hostChannels,
        key(
            "escort.minimum_suite",
            "Weakest encryption to accept: \(MinimumSuite.allCases.map(\.rawValue).joined(separator: " or "))",
            \.escort.minimumSuite,
            parse: parseName,
            show: { $0.rawValue }
        ),
        key(
            "escort.ssh_uri",
            "libvirt URI of a peer for the channel ssh, such as qemu+ssh://root@{address}/system (default: none)",
            \.escort.sshURI,
            parse: { text throws(ValueError) in try parseSSHURI(text) },
            show: { $0 }
        ),
        key(
            "escort.migration_ports",
            "Port range on which the hypervisor accepts migrations (qemu.conf: migration_port_min, migration_port_max)",
            \.escort.migrationPorts,
            parse: parsePorts,
            show: { "\($0.lowerBound)-\($0.upperBound)" }
        ),
        flag(
            "escort.allow_plain",
            "Whether this host allows an unprotected move that is requested explicitly, for benchmarks",
            \.escort.allowPlain
        ),
    ]

    private static let policy: [SettingKey] = [
        key(
            "policy.mode",
            "Operating mode: off (no plans), advise (report what would move), manual (recommend moves, which 'evenkeel "
                + "plan --apply' makes) or automatic (make moves)",
            \.policy.mode,
            parse: parseName,
            show: { $0.rawValue }
        ),
        duration("policy.decision_interval", "Interval between the controller's decisions", \.decisionInterval),
        share("policy.cpu.upper", "Share of its CPU above which a host is overloaded", \.policy.cpu.upper),
        share("policy.cpu.lower", "Share of its CPU up to which a host is lightly loaded", \.policy.cpu.lower),
        share("policy.memory.upper", "Share of its memory above which a host is overloaded", \.policy.memory.upper),
        share(
            "policy.memory.lower",
            "Share of its memory up to which a host is lightly loaded; the strategies threshold and pull move VMs only to "
                + "lightly loaded hosts",
            \.policy.memory.lower
        ),
        count(
            "policy.overload_samples",
            "Number of samples in overload_window that must be above the threshold",
            \.policy.overloadSamples
        ),
        count("policy.overload_window", "Number of latest samples to check for overload", \.policy.overloadWindow),
        duration(
            "policy.short_window",
            "Short window: the mean load over it must exceed the threshold",
            \.policy.shortWindow
        ),
        duration(
            "policy.long_window",
            "Long window, at most back to the last move: the share of samples above the threshold must reach lasting_share",
            \.policy.longWindow
        ),
        share(
            "policy.lasting_share",
            "Share of the samples in long_window that must be above the threshold",
            \.policy.lastingShare
        ),
        share(
            "policy.hysteresis",
            "Margin below the threshold to which the load must fall before a host is no longer overloaded",
            \.policy.hysteresis
        ),
        duration("policy.forecast", "How far ahead the trend of the long window is extrapolated", \.policy.forecast),
        duration(
            "policy.stale_after",
            "Maximum age of a host's newest sample; with an older one, the host is neither source nor target",
            \.policy.staleAfter
        ),
        duration(
            "policy.cooldown",
            "Time for which a VM stays where it is after a move, successful or failed",
            \.policy.cooldown
        ),
        duration(
            "policy.no_return",
            "Time for which a VM does not return to a host it left",
            \.policy.noReturn
        ),
        channels,
        count("policy.moves_per_host", "Maximum number of simultaneous moves per host", \.policy.movesPerHost),
        count("policy.moves_in_all", "Maximum number of simultaneous moves in the fleet", \.policy.movesInAll),
        duration(
            "policy.order_lifetime",
            "Time after which an order that has not started expires",
            \.policy.orderLifetime
        ),
    ]

    private static let hostChannels: SettingKey = {
        var setting = key(
            "escort.channels",
            "Channels this host is set up for: \(Channel.protected.map(\.rawValue).joined(separator: ", "))",
            \.escort.channels,
            parse: parseChannels,
            show: { $0.map(\.rawValue).joined(separator: ", ") }
        )
        setting.isList = true
        return setting
    }()

    private static let channels: SettingKey = {
        var setting = key(
            "policy.channels",
            "Channels the controller may choose, in order of preference; one measured at least 1.5 times as fast takes "
                + "precedence",
            \.policy.channels,
            parse: parseChannels,
            show: { $0.map(\.rawValue).joined(separator: ", ") }
        )
        setting.isList = true
        return setting
    }()

    private static let planning: [SettingKey] = [
        key(
            "policy.strategy",
            "Planning strategy: \(Strategy.allCases.map(\.rawValue).joined(separator: ", "))",
            \.policy.planning.strategy,
            parse: parseName,
            show: { $0.rawValue }
        ),
        key(
            "policy.aggressiveness",
            "Level from 1 to 5: 1 (only rules and maintenance), 2 (also overload), 3 to 5 (also balance, 5 for nearly every gain)",
            \.policy.planning.aggressiveness,
            parse: parseLevel,
            show: { String($0) }
        ),
        key(
            "policy.max_moves",
            "Maximum number of moves in a plan (default: no limit)",
            \.policy.planning.maxMoves,
            parse: { text throws(ValueError) in try parseCount(text) },
            show: { $0.map { String($0) } }
        ),
        key(
            "policy.memory_limit",
            "Share of a host's memory that a plan may fill; above 1: overcommit",
            \.policy.planning.memoryLimit,
            parse: parseRatio,
            show: format(number:)
        ),
        key(
            "policy.vcpus_per_cpu",
            "Maximum number of VCPUs per CPU of a host (default: no limit)",
            \.policy.planning.vcpusPerCPU,
            parse: { text throws(ValueError) in try parseRatio(text) },
            show: { $0.map { format(number: $0) } }
        ),
        key(
            "policy.reserve_hosts",
            "Number of host failures to tolerate: the VMs of the failed hosts must fit on the others",
            \.policy.planning.reserveHosts,
            parse: parseNumber,
            show: { String($0) }
        ),
        key(
            "policy.bandwidth",
            "Assumed migration bandwidth between two hosts until it has been measured",
            \.policy.planning.bandwidth,
            parse: parseBandwidth,
            show: format(bandwidth:)
        ),
        duration(
            "policy.horizon",
            "Time over which the gain of a move is weighed against its cost",
            \.policy.planning.horizon
        ),
        weight("cpu", "CPU", \.policy.planning.weights.cpu),
        weight("memory", "memory", \.policy.planning.weights.memory),
        weight("network", "network", \.policy.planning.weights.network),
        weight("disk", "disk", \.policy.planning.weights.disk),
        weight("vcpus", "VCPUs", \.policy.planning.weights.vcpus),
    ]

    private static func weight(
        _ resource: String,
        _ name: String,
        _ field: any WritableKeyPath<Settings, Double> & Sendable
    ) -> SettingKey {
        key(
            "policy.weights.\(resource)",
            "Weight of the spread of \(name) across the hosts",
            field,
            parse: parseWeight,
            show: format(number:)
        )
    }
}
