// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Everything that can be configured; each key is described in `SettingKey.all`.
public struct Settings: Sendable, Equatable {
    /// The name of the host an agent runs on; `nil`: the system's host name.
    public var host: String?
    public var ledger = LedgerSettings()
    public var sampling = SamplingSettings()
    public var hypervisorURI = "qemu:///system"
    public var identity = IdentitySettings()
    public var escort = EscortSettings()
    public var migration = MigrationSettings()
    /// How often the controller decides.
    public var decisionInterval: Duration = .seconds(5)
    public var policy = Policy()
    public var inventory = Inventory(hosts: [])

    public init() {}
}

public struct LedgerSettings: Sendable, Equatable {
    public var folder = "/var/lib/evenkeel/ledger"
    public var lockTimeout: Duration = .seconds(10)
    public var segmentBytes: UInt64 = 16 << 20
    /// How often agents and controller look for new records.
    public var pollInterval: Duration = .milliseconds(500)
    /// Whether records are neither signed nor verified.
    public var unsigned = false
    /// The file of how far this host has seen the ledger; `nil`: one for each writer in `/var/lib/evenkeel`.
    public var marks: String?
}

public struct SamplingSettings: Sendable, Equatable {
    public var interval: Duration = .seconds(5)
    /// Where this host's CPU and memory are bounded by a control group: its path below the hierarchy's root.
    public var cgroup: String?
}

public struct IdentitySettings: Sendable, Equatable {
    /// Where this host's key and certificate are.
    public var folder = "/etc/evenkeel/identity"
    public var controller = "/etc/evenkeel/controller"
    public var `operator` = "/etc/evenkeel/operator"
    /// The root of the folders in which libvirt and QEMU look for certificates; `nil`: they are no matter of the agent's.
    public var libvirtPKI: String?
}

public struct EscortSettings: Sendable, Equatable {
    /// The file with pre-shared keys; `nil`: the hosts authenticate each other by their certificates.
    public var pskFile: String?
    /// The vici socket of charon; `nil`: swanctl's default.
    public var viciSocket: String?
    /// Where the agent puts the strongSwan configuration it generates.
    public var folder = "/etc/swanctl/conf.d"
    /// Whether charon serves nobody else, so that the generated file is all it loads.
    public var ownCharon = false
    /// The channels that this host has been set up for.
    public var channels: [Channel] = [.ipsec]
    public var minimumSuite = MinimumSuite.aes256
    /// Under which libvirt URI peers are reached over ssh, with `{address}` for theirs; `nil`: not at all.
    public var sshURI: String?
    /// Where this host's hypervisor takes migrations, both ends included.
    public var migrationPorts = 49152...49215
    /// Whether this host takes part in a move that asks by name for the channel `plain`.
    public var allowPlain = false

    /// `channels`, and `plain` where it is allowed.
    public var usableChannels: [Channel] { channels + (allowPlain ? [.plain] : []) }
}

public struct MigrationSettings: Sendable, Equatable {
    public var timeLimit: Duration = .seconds(3600)
    public var stallLimit: Duration = .seconds(120)
    public var maxDowntime: Duration = .milliseconds(300)
    /// Where VMs' images lie in the clear during a sealed move: in memory (tmpfs), for the agent's user alone.
    public var sealedFolder = "/dev/shm/evenkeel"
    /// Where sealed images lie, on storage that all hosts share; `nil`: in the ledger's folder.
    public var sealedStorage: String?
}
