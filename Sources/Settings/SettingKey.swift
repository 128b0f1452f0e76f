// SPDX-License-Identifier: Apache-2.0
import Fleet

/// One key of the configuration: its name in dots, what it means, and how its value is read and shown.
public struct SettingKey: Sendable {
    public let path: String
    public let meaning: String
    let set: @Sendable (inout Settings, String) throws(ValueError) -> Void
    /// The value as it stands in a file; `nil` when unset.
    let show: @Sendable (Settings) -> String?
    /// Whether the value is a list, which a file may also give as a YAML list; in flags and the environment its parts
    /// are separated by commas.
    var isList = false

    /// The environment variable of the key: `EVENKEEL_POLICY_CPU_UPPER` for `policy.cpu.upper`.
    public var variable: String { Self.variable(path) }
}

extension SettingKey {
    /// Every key but the list `hosts`, in the order of the documented file.
    public static let all: [SettingKey] = general + identity + escort + policy + planning

    /// Keys of earlier releases, and what to do about each.
    static let removed = [
        "escort.ipsec_mode": "transport mode was removed; every host uses tunnel mode. Remove this setting."
    ]

    static func variable(_ path: String) -> String {
        "EVENKEEL_" + path.uppercased().replacing(".", with: "_")
    }

    /// A key whose value has a field of its own.
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
    ) -> SettingKey { key(path, meaning, field, parse: parseDuration, show: format(_:)) }

    private static func share(
        _ path: String,
        _ meaning: String,
        _ field: any WritableKeyPath<Settings, Double> & Sendable
    ) -> SettingKey { key(path, meaning, field, parse: parseShare, show: format(share:)) }

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
            "This host's identity: its key, its certificate, the roster it trusts ('evenkeel host add' makes it).",
            \.identity.folder
        ),
        path("identity.controller", "The controller's identity ('evenkeel init' makes it).", \.identity.controller),
        path("identity.operator", "The identity that orders by hand are signed with.", \.identity.operator),
        optionalPath(
            "identity.libvirt_pki",
            "Where the agent puts the same certificate for libvirt and QEMU, such as /etc/pki; unset: nowhere.",
            \.identity.libvirtPKI
        ),
    ]

    private static let general: [SettingKey] = [
        optionalText("host", "The name of the host an agent runs on, as in hosts; by default the system's.", \.host),
        path(
            "ledger.folder",
            "The folder on shared storage through which agents and controller meet.",
            \.ledger.folder
        ),
        duration("ledger.lock_timeout", "How long an append waits for the file's lock.", \.ledger.lockTimeout),
        key(
            "ledger.segment_size",
            "A file of the ledger that has grown to this is followed by a new one.",
            \.ledger.segmentBytes,
            parse: parseSize,
            show: format(size:)
        ),
        duration(
            "ledger.poll_interval",
            "How often agents and controller look for new records.",
            \.ledger.pollInterval
        ),
        flag(
            "ledger.unsigned",
            "Whether records are neither signed nor verified: whoever can write to the folder can then order moves.",
            \.ledger.unsigned
        ),
        optionalText(
            "ledger.marks",
            "The local file of how far an agent or controller has seen the ledger; by default "
                + "/var/lib/evenkeel/marks-WRITER.json.",
            \.ledger.marks
        ),
        duration("sampling.interval", "How often an agent samples its host's load.", \.sampling.interval),
        optionalText(
            "sampling.cgroup",
            "The control group that bounds this host's CPU and memory, where it is not the whole machine.",
            \.sampling.cgroup
        ),
        key(
            "hypervisor.uri",
            "The libvirt URI of this host's hypervisor.",
            \.hypervisorURI,
            parse: parseText,
            show: { $0 }
        ),
        duration("migration.time_limit", "The longest that a migration may take.", \.migration.timeLimit),
        duration("migration.stall_limit", "The longest that a migration may send nothing.", \.migration.stallLimit),
        duration("migration.max_downtime", "The downtime at which pre-copy may stop the VM.", \.migration.maxDowntime),
        path(
            "migration.sealed_folder",
            "A folder in memory (tmpfs), for VMs' images in the clear during sealed moves; it needs room for one.",
            \.migration.sealedFolder
        ),
        optionalPath(
            "migration.sealed_storage",
            "A folder on storage that all hosts share, for encrypted images; by default 'sealed' in ledger.folder.",
            \.migration.sealedStorage
        ),
    ]

    private static let escort: [SettingKey] = [
        optionalPath(
            "escort.psk_file",
            "A file with pre-shared keys, used for the mesh in place of certificates. Weaker: see docs/escort.md.",
            \.escort.pskFile
        ),
        optionalText(
            "escort.vici",
            "The vici socket of strongSwan's charon; by default swanctl's own.",
            \.escort.viciSocket
        ),
        path(
            "escort.folder",
            "Where the agent puts the strongSwan configuration that it generates; swanctl.conf must include it.",
            \.escort.folder
        ),
        flag(
            "escort.own_charon",
            "Whether charon serves nobody else: the generated file is then all that is loaded.",
            \.escort.ownCharon
        ),
        hostChannels,
        key(
            "escort.minimum_suite",
            "The weakest encryption accepted: \(MinimumSuite.allCases.map(\.rawValue).joined(separator: " or ")).",
            \.escort.minimumSuite,
            parse: parseName,
            show: { $0.rawValue }
        ),
        key(
            "escort.ssh_uri",
            "The libvirt URI of a peer over ssh, for the channel ssh: qemu+ssh://root@{address}/system.",
            \.escort.sshURI,
            parse: { text throws(ValueError) in try parseSSHURI(text) },
            show: { $0 }
        ),
        key(
            "escort.migration_ports",
            "The ports on which this host's hypervisor takes migrations (qemu.conf: migration_port_min, _max).",
            \.escort.migrationPorts,
            parse: parsePorts,
            show: { "\($0.lowerBound)-\($0.upperBound)" }
        ),
        flag(
            "escort.allow_plain",
            "Whether this host takes part in a move in the clear that is asked for by name; for benchmarks.",
            \.escort.allowPlain
        ),
    ]

    private static let policy: [SettingKey] = [
        key(
            "policy.mode",
            "off: no plans; advise: it is said what would move; manual: moves are recommended, evenkeel plan --apply "
                + "makes them; automatic: they are made.",
            \.policy.mode,
            parse: parseName,
            show: { $0.rawValue }
        ),
        duration("policy.decision_interval", "How often the controller decides.", \.decisionInterval),
        share("policy.cpu.upper", "A host above this share of its CPU is overloaded.", \.policy.cpu.upper),
        share("policy.cpu.lower", "A host at or below this share of its CPU is light.", \.policy.cpu.lower),
        share("policy.memory.upper", "A host above this share of its memory is overloaded.", \.policy.memory.upper),
        share(
            "policy.memory.lower",
            "A host at or below this share of its memory is light; the strategies threshold and pull fill no other.",
            \.policy.memory.lower
        ),
        count(
            "policy.overload_samples",
            "So many samples of the window must be above a threshold.",
            \.policy.overloadSamples
        ),
        count("policy.overload_window", "So many of the last samples are looked at.", \.policy.overloadWindow),
        duration(
            "policy.short_window",
            "A host is overloaded only if its mean over this time is above a threshold, and",
            \.policy.shortWindow
        ),
        duration(
            "policy.long_window",
            "in this time, or since its last move, it was above for at least lasting_share.",
            \.policy.longWindow
        ),
        share("policy.lasting_share", "See long_window.", \.policy.lastingShare),
        share(
            "policy.hysteresis",
            "An overloaded host stays so until it is below the threshold by this share.",
            \.policy.hysteresis
        ),
        duration("policy.forecast", "A trend of the long window is carried on for this time.", \.policy.forecast),
        duration("policy.stale_after", "A host without a sample for this long is left out.", \.policy.staleAfter),
        duration(
            "policy.cooldown",
            "A VM stays put for this long after a move, or after one that failed.",
            \.policy.cooldown
        ),
        duration(
            "policy.no_return",
            "A VM does not go back within this time to a host that it left.",
            \.policy.noReturn
        ),
        channels,
        count("policy.moves_per_host", "So many moves at once may one host take part in.", \.policy.movesPerHost),
        count("policy.moves_in_all", "So many moves at once may run in the fleet.", \.policy.movesInAll),
        duration(
            "policy.order_lifetime",
            "An order that no agent has begun within this time is void.",
            \.policy.orderLifetime
        ),
    ]

    private static let hostChannels: SettingKey = {
        var setting = key(
            "escort.channels",
            "The channels this host has been set up for: \(Channel.protected.map(\.rawValue).joined(separator: ", ")).",
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
            "The channels that the controller may choose, the preferred one first: of these the first that both hosts "
                + "have, unless another has been half as fast again on the way.",
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
            "How plans are found: \(Strategy.allCases.map(\.rawValue).joined(separator: ", ")).",
            \.policy.planning.strategy,
            parse: parseName,
            show: { $0.rawValue }
        ),
        key(
            "policy.aggressiveness",
            "1: only what rules and maintenance ask for; 2: overload too; 3 to 5: balance, ever smaller gains.",
            \.policy.planning.aggressiveness,
            parse: parseLevel,
            show: { String($0) }
        ),
        key(
            "policy.max_moves",
            "At most so many moves in one plan; by default any number.",
            \.policy.planning.maxMoves,
            parse: { text throws(ValueError) in try parseCount(text) },
            show: { $0.map { String($0) } }
        ),
        key(
            "policy.memory_limit",
            "No plan fills a host's memory above this; above 1 it is overcommitted.",
            \.policy.planning.memoryLimit,
            parse: parseRatio,
            show: format(number:)
        ),
        key(
            "policy.vcpus_per_cpu",
            "No plan gives a host more VCPUs for each of its CPUs; by default any number.",
            \.policy.planning.vcpusPerCPU,
            parse: { text throws(ValueError) in try parseRatio(text) },
            show: { $0.map { format(number: $0) } }
        ),
        key(
            "policy.reserve_hosts",
            "So many hosts may fail and their VMs still find room.",
            \.policy.planning.reserveHosts,
            parse: parseNumber,
            show: { String($0) }
        ),
        key(
            "policy.bandwidth",
            "What a migration gets between two hosts under its escort.",
            \.policy.planning.bandwidth,
            parse: parseBandwidth,
            show: format(bandwidth:)
        ),
        duration(
            "policy.horizon",
            "How long a balance is expected to last: what a move gains, it gains over this time.",
            \.policy.planning.horizon
        ),
        weight("cpu", \.policy.planning.weights.cpu),
        weight("memory", \.policy.planning.weights.memory),
        weight("network", \.policy.planning.weights.network),
        weight("disk", \.policy.planning.weights.disk),
        weight("vcpus", \.policy.planning.weights.vcpus),
    ]

    private static func weight(
        _ resource: String,
        _ field: any WritableKeyPath<Settings, Double> & Sendable
    ) -> SettingKey {
        key(
            "policy.weights.\(resource)",
            "How much the spread of \(resource) over the hosts counts.",
            field,
            parse: parseWeight,
            show: format(number:)
        )
    }
}
