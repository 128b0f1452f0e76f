// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// One migration as the hypervisor is asked to do it: pre-copy, live, peer to peer.
public struct MigrationRequest: Sendable, Equatable {
    public var vm: VMID
    /// The peer hypervisor's URI, over which the two daemons talk.
    public var peerURI: String
    /// Where the memory goes, for instance `tcp://10.78.0.2`; not used by `Transport.tunnelled`.
    public var migrateURI: String
    /// The address the target listens on; not used by `Transport.tunnelled`.
    public var listenAddress: String
    public var transport: Transport
    /// The longest it may take in all, and the longest without any progress.
    public var timeLimit: Duration
    public var stallLimit: Duration
    /// The downtime aimed at.
    public var maxDowntime: Duration
    public init(
        vm: VMID,
        peerURI: String,
        migrateURI: String,
        listenAddress: String,
        transport: Transport,
        timeLimit: Duration,
        stallLimit: Duration,
        maxDowntime: Duration
    ) {
        self.vm = vm
        self.peerURI = peerURI
        self.migrateURI = migrateURI
        self.listenAddress = listenAddress
        self.transport = transport
        self.timeLimit = timeLimit
        self.stallLimit = stallLimit
        self.maxDowntime = maxDowntime
    }
}

/// How the memory of a VM that migrates travels from one hypervisor to the other.
///
/// One that the hypervisor cannot do is refused, never replaced by another.
public enum Transport: Sendable, Equatable {
    /// From hypervisor to hypervisor, in the clear unless there is TLS.
    ///
    /// One TLS connection is for less than 48 GB (QEMU bug 1937: QEMU 7.2 may crash after some 64 GB): a VM whose
    /// memory (`VMRequirements.memoryBytes`), sent as many times over as its dirty rate makes likely, comes near that
    /// needs `parallelConnections`. A move that passes 48 GB all the same is stopped.
    case direct(tls: TLSParameters?, parallelConnections: Int?)
    /// Within the connection between the two daemons (`peerURI`), and protected as that is.
    case tunnelled
}

/// TLS between the two hypervisors, each with its certificate.
public struct TLSParameters: Sendable, Equatable {
    /// The name or address that the target's certificate has to show.
    public var targetName: String
    public init(targetName: String) { self.targetName = targetName }
}
