// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Parameters of one migration for the hypervisor: peer to peer, pre-copy and live, or offline.
public struct MigrationRequest: Sendable, Equatable {
    public var vm: VMID
    /// Whether the VM is off, and only its definition moves, within the connection between the two daemons (`peerURI`).
    public var isOffline: Bool
    /// The URI of the peer's hypervisor, for the connection between the two daemons.
    public var peerURI: String
    /// Destination of the memory, for instance `tcp://10.78.0.2`; not used by `Transport.tunnelled`.
    public var migrateURI: String
    /// The address on which the target listens; not used by `Transport.tunnelled`.
    public var listenAddress: String
    public var transport: Transport
    /// The longest total duration, and the longest without any progress.
    public var timeLimit: Duration
    public var stallLimit: Duration
    /// The intended maximum downtime.
    public var maxDowntime: Duration
    public init(
        vm: VMID,
        isOffline: Bool = false,
        peerURI: String,
        migrateURI: String,
        listenAddress: String,
        transport: Transport,
        timeLimit: Duration,
        stallLimit: Duration,
        maxDowntime: Duration
    ) {
        self.vm = vm
        self.isOffline = isOffline
        self.peerURI = peerURI
        self.migrateURI = migrateURI
        self.listenAddress = listenAddress
        self.transport = transport
        self.timeLimit = timeLimit
        self.stallLimit = stallLimit
        self.maxDowntime = maxDowntime
    }
}

/// The requirements of a VM that is off.
public struct OfflineRequirements: Sendable, Equatable {
    public var requirements: VMRequirements
    /// Why its definition cannot leave the host, whatever the target; empty if the hypervisor knows no reason.
    public var blockers: [PreflightFailure.HypervisorReason]
    public init(_ requirements: VMRequirements, blockers: [PreflightFailure.HypervisorReason]) {
        self.requirements = requirements
        self.blockers = blockers
    }
}

/// How the memory of a VM travels from one hypervisor to the other during a migration.
///
/// A transport that the hypervisor does not support is refused, never replaced by another.
public enum Transport: Sendable, Equatable {
    /// From hypervisor to hypervisor; in the clear without TLS.
    ///
    /// One TLS connection is for less than `singleTLSLimit`. The expected volume is the VM's memory (`VMRequirements.memoryBytes`) times the number of copies that its dirty rate
    /// makes likely. If it comes near the limit, the VM needs `parallelConnections`. A move that exceeds it
    /// nevertheless is stopped.
    case direct(tls: TLSParameters?, parallelConnections: Int?)
    /// Within the connection between the two daemons (`peerURI`), with the protection of that connection.
    case tunnelled

    /// Bytes after which a migration over one TLS connection is stopped: after about 64 GB QEMU 7.2 may crash, and the
    /// VM with it (QEMU bug 1937).
    public static let singleTLSLimit: UInt64 = 48_000_000_000
}

/// TLS between the two hypervisors, each with its certificate.
public struct TLSParameters: Sendable, Equatable {
    /// The name or address that the target's certificate must contain.
    public var targetName: String
    public init(targetName: String) { self.targetName = targetName }
}
