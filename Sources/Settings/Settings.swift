// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The configuration; `SettingKey.all` describes each key.
public struct Settings: Sendable, Equatable {
    /// The name of the host on which an agent runs; `nil`: the system's host name.
    public var host: String?
    public var ledger = LedgerSettings()
    public var sampling = SamplingSettings()
    public var hypervisorURI = "qemu:///system"
    public var identity = IdentitySettings()
    public var escort = EscortSettings()
    public var migration = MigrationSettings()
    /// Interval between the controller's decisions.
    public var decisionInterval: Duration = .seconds(5)
    public var policy = Policy()
    public var inventory = Inventory(hosts: [])

    public init() {}
}

public struct LedgerSettings: Sendable, Equatable {
    public var folder = "/var/lib/evenkeel/ledger"
    public var lockTimeout: Duration = .seconds(10)
    public var segmentBytes: UInt64 = 4 << 20
    public var retention = RetentionSettings()
    /// Interval at which agents and controller check for new records.
    public var pollInterval: Duration = .milliseconds(500)
    /// Whether records are unsigned and not verified.
    public var unsigned = false
    /// The marks file of this host; `nil`: one for each writer in `/var/lib/evenkeel`.
    public var marks: String?
}

/// How much of each stream of the ledger is kept.
public struct RetentionSettings: Sendable, Equatable {
    public struct Stream: Sendable, Equatable {
        public var age: Duration
        public var bytes: UInt64
        public init(age: Duration, bytes: UInt64) {
            self.age = age
            self.bytes = bytes
        }
    }

    public init() {}

    /// For each host.
    public var load = Stream(age: .seconds(7 * 86400), bytes: 64 << 20)
    public var orders = Stream(age: .seconds(30 * 86400), bytes: 256 << 20)
    public var reports = Stream(age: .seconds(30 * 86400), bytes: 256 << 20)
}

public struct SamplingSettings: Sendable, Equatable {
    public var interval: Duration = .seconds(5)
    /// The control group that limits this host's CPU and memory, as a path below the root of the hierarchy.
    public var cgroup: String?
}

public struct IdentitySettings: Sendable, Equatable {
    /// The folder of this host's key and certificate.
    public var folder = "/etc/evenkeel/identity"
    public var controller = "/etc/evenkeel/controller"
    public var `operator` = "/etc/evenkeel/operator"
    /// The root of the folders with the certificates of libvirt and QEMU; `nil`: the agent does not manage them.
    public var libvirtPKI: String?
}

public struct EscortSettings: Sendable, Equatable {
    /// The file with pre-shared keys; `nil`: the hosts authenticate each other with certificates.
    public var pskFile: String?
    /// The vici socket of charon; `nil`: swanctl's default.
    public var viciSocket: String?
    /// The folder of the generated strongSwan configuration.
    public var folder = "/etc/swanctl/conf.d"
    /// Whether charon serves only Evenkeel, and so loads only the generated file.
    public var ownCharon = false
    /// The channels for which this host is set up.
    public var channels: [Channel] = [.ipsec]
    public var minimumSuite = MinimumSuite.aes256
    /// The libvirt URI of a peer over ssh, in which `{address}` is the peer's address; `nil`: ssh is not used.
    public var sshURI: String?
    /// The ports on which this host's hypervisor accepts migrations, both ends included.
    public var migrationPorts = Channel.defaultMigrationPorts
    /// Whether this host accepts a move that requests the channel `plain` by name.
    public var allowPlain = false

    /// The channels of `channels`, and `plain` if it is allowed.
    public var usableChannels: [Channel] { channels + (allowPlain ? [.plain] : []) }
}

public struct MigrationSettings: Sendable, Equatable {
    public var timeLimit: Duration = .seconds(3600)
    public var stallLimit: Duration = .seconds(120)
    public var maxDowntime: Duration = .milliseconds(300)
    /// The folder of unencrypted VM images during a sealed move: in memory (tmpfs), only for the agent's user.
    public var sealedFolder = "/dev/shm/evenkeel"
    /// The folder of encrypted images on shared storage; `nil`: in the ledger's folder.
    public var sealedStorage: String?
    /// libvirt networks of which a VM reaches the same machines on every host, although libvirt routes or translates
    /// them.
    public var stretchedNetworks: [String] = []
}
