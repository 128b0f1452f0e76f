// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The path of one migration to a peer through a channel.
///
/// It is proven before the first byte, observed during the migration, and accounted for after the last byte. It belongs
/// to this move alone until `end` returns or the path is released. Only one call at a time is allowed.
public protocol ProtectedPath: Sendable {
    /// Where and how the hypervisor must send the memory.
    var route: MigrationRoute { get }

    /// Reads the counters and returns whether the path still holds; call it about once a second.
    func observe() async -> PathObservation

    /// Reads the counters a last time and returns the evidence with its verdict.
    ///
    /// `hypervisorBytes` is the number of bytes that the hypervisor reports as sent, `nil` if it reports none.
    func end(hypervisorBytes: UInt64?) async -> Evidence
}

/// Where and how a hypervisor must send a VM's memory.
public struct MigrationRoute: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// From QEMU to QEMU, to this address of the target.
        case direct(address: String)
        /// Inside the connection between the two libvirt daemons.
        case tunnelled
    }
    public var kind: Kind
    /// The name in the target's certificate, if QEMU itself must encrypt.
    public var tlsName: String?
    /// The URI under which libvirt must reach the peer; `nil`: the one in the inventory.
    public var peerURI: String?
}

/// The result of one observation of a protected path.
public struct PathObservation: Sendable, Equatable {
    /// Bytes on the path since the move began.
    public var bytes: UInt64
    /// Why the path no longer holds, so that the migration must be cancelled; `nil` while it holds.
    public var loss: PathLoss?
    public var isUp: Bool { loss == nil }
}

/// Why a path no longer protects a migration.
public enum PathLoss: Sendable, Equatable, CustomStringConvertible {
    case unobserved(reason: String)
    case noAssociation(HostName)
    case weak(HostName, TunnelWeakness)
    /// Packets went out through the tunnel, but none came back.
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
