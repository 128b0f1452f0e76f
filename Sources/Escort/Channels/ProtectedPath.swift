// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The way of one migration to a peer through a channel: proven before the first byte, watched while it runs, and
/// accounted for after the last.
///
/// It is this move's alone until `end` returns or it is released. One call at a time.
public protocol ProtectedPath: Sendable {
    /// What the hypervisor is to be told of it.
    var route: MigrationRoute { get }

    /// Reads the counters and tells whether the way still holds; wanted about once a second.
    func observe() async -> PathObservation

    /// Reads the counters a last time and judges.
    ///
    /// `hypervisorBytes` is what the hypervisor says it sent, `nil` when it did not say.
    func end(hypervisorBytes: UInt64?) async -> Evidence
}

/// Where and how a hypervisor is to send a VM's memory.
public struct MigrationRoute: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// From QEMU to QEMU, to this address of the target.
        case direct(address: String)
        /// Inside the connection of the two libvirt daemons.
        case tunnelled
    }
    public var kind: Kind
    /// The name in the target's certificate, where QEMU itself is to encrypt.
    public var tlsName: String?
    /// The URI under which libvirt must reach the peer for it; `nil`: the usual one.
    public var peerURI: String?
}

/// What one look at a passage showed.
public struct PathObservation: Sendable, Equatable {
    /// Bytes that went through it since the move began.
    public var bytes: UInt64
    /// Why it no longer holds, so that the migration is to be cancelled; `nil` while it holds.
    public var loss: PathLoss?
    public var isUp: Bool { loss == nil }
}

/// Why a path no longer protects a migration.
public enum PathLoss: Sendable, Equatable, CustomStringConvertible {
    case unobserved(reason: String)
    case noAssociation(HostName)
    case weak(HostName, TunnelWeakness)
    /// Nothing came back through the tunnel although packets went out.
    case silent(HostName, seconds: Int)
    /// The gate dropped packets of a stream that did not begin as TLS does.
    case inTheClear(packets: UInt64)

    public var description: String {
        switch self {
        case .unobserved(let reason): "the tunnel could not be observed: \(reason)"
        case .noAssociation(let peer): "the SA with \(peer) is gone"
        case .weak(let peer, let weakness): "the tunnel to \(peer) became weak: \(weakness)"
        case .silent(let peer, let seconds): "\(peer) has not answered through the tunnel for \(seconds) s"
        case .inTheClear(let packets): "the gate dropped \(packets) packets of a migration in the clear"
        }
    }
}
