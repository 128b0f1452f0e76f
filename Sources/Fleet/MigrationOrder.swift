// SPDX-License-Identifier: Apache-2.0

/// The path that carries a VM's memory.
public enum Channel: String, Codable, Sendable, CaseIterable {
    /// The ports on which a target's hypervisor waits for memory: libvirt's default range (qemu.conf,
    /// `migration_port_min` and `migration_port_max`).
    public static let defaultMigrationPorts = 49152...49215

    /// Inner addresses that exist only inside IPsec tunnels.
    case ipsec
    /// QEMU's own TLS between the hosts' LAN addresses, with certificates on both sides.
    case tls
    /// QEMU's own TLS inside the IPsec tunnels.
    case ipsecTLS = "ipsec+tls"
    /// Through libvirt's connection over ssh.
    case ssh
    /// Stop-and-copy of an image under authenticated encryption, which needs no protected path.
    case sealed
    /// In the clear over the hosts' LAN: only for benchmarks that request it in each run; no policy can choose it.
    case plain
}

extension Channel {
    /// The channels that a policy may allow: all except `plain`.
    public static let protected: [Channel] = allCases.filter { $0 != .plain }
}

extension Channel {
    /// Whether the memory arrives at the target's migration ports.
    public var usesMigrationPorts: Bool { ![.ssh, .sealed].contains(self) }
}

/// How a VM is moved.
public enum Technique: String, Codable, Sendable {
    case preCopy
    /// The VM is saved, its image transferred, and the VM restored.
    case stopAndCopy
    /// The VM is off and stays off: its definition moves, and no memory.
    case offline
}

extension Channel {
    /// How memory moves on this channel.
    public var technique: Technique { self == .sealed ? .stopAndCopy : .preCopy }

    /// Returns whether the channel can carry a move of this technique.
    ///
    /// A definition goes through libvirt's connection between the two hosts, which a sealed move does not have.
    public func carries(_ technique: Technique) -> Bool {
        switch technique {
        case .preCopy, .stopAndCopy: technique == self.technique
        case .offline: self != .sealed
        }
    }
}

/// One ordered move of one VM; used once.
public struct MigrationOrder: Codable, Sendable, Equatable, Identifiable {
    public var id: OrderID
    public var vm: VMID
    public var vmName: String
    public var source: HostName
    public var target: HostName
    public var channel: Channel
    public var technique: Technique
    /// The digest of the VM's definition that the order is for (`VMSample.definition`); `nil` if not known then.
    ///
    /// An agent that knows the digest refuses an order without it.
    public var definition: String?
    public var issuedAt: Instant
    /// No agent may begin it before this instant; `nil`: at once.
    public var notBefore: Instant?
    /// No agent may accept it after this instant.
    public var expires: Instant
    /// The move must not begin after this instant, which leaves time for the target's consent.
    public var latestBeginning: Instant { expires + .seconds(30) }
    /// Its author: `controller` or `operator`.
    public var issuer: Issuer
    /// The epoch of the controller that gave it; `nil` if an operator gave it, and in older records.
    public var epoch: UInt64?
    /// The reason as text.
    public var reason: String
    /// The stable code of a plan's reason; `nil` if an operator gave the order, and in older records.
    public var code: String?
    /// The effect that the controller expects; `nil` for an operator's order.
    public var prediction: Prediction?

    /// Whether it moves the definition of a VM that is off.
    public var isOffline: Bool { technique == .offline }

    public enum Issuer: String, Codable, Sendable { case controller, `operator` }

    public init(
        id: OrderID,
        vm: VMID,
        vmName: String,
        source: HostName,
        target: HostName,
        channel: Channel,
        technique: Technique = .preCopy,
        definition: String? = nil,
        issuedAt: Instant,
        notBefore: Instant? = nil,
        expires: Instant,
        issuer: Issuer,
        epoch: UInt64? = nil,
        reason: String,
        code: String? = nil,
        prediction: Prediction? = nil
    ) {
        self.id = id
        self.vm = vm
        self.vmName = vmName
        self.source = source
        self.target = target
        self.channel = channel
        self.technique = technique
        self.definition = definition
        self.issuedAt = issuedAt
        self.notBefore = notBefore
        self.expires = expires
        self.issuer = issuer
        self.epoch = epoch
        self.reason = reason
        self.code = code
        self.prediction = prediction
    }
}

/// CPU shares (of capacity) of both hosts before a move and as predicted after it.
public struct Prediction: Codable, Sendable, Equatable {
    public var sourceBefore: Double
    public var sourceAfter: Double
    public var targetBefore: Double
    public var targetAfter: Double
    public init(sourceBefore: Double, sourceAfter: Double, targetBefore: Double, targetAfter: Double) {
        self.sourceBefore = sourceBefore
        self.sourceAfter = sourceAfter
        self.targetBefore = targetBefore
        self.targetAfter = targetAfter
    }
}

/// A line of the ledger's orders.
public enum OrderRecord: Codable, Sendable, Equatable {
    case migrate(order: MigrationOrder)
    /// Ends the order if it has not ended: the source cancels the migration and keeps the VM.
    case cancel(id: OrderID, at: Instant, reason: String)
    /// Ends an order that its source cannot end, and states on which of its two hosts the VM is.
    ///
    /// An operator decides this; the controller only if the source was removed from the cluster and the target runs the
    /// VM. If the source reports an end nevertheless, that report counts.
    case end(id: OrderID, on: HostName, at: Instant, reason: String)
    /// An operator has examined the leaks of these orders: they no longer close the channel between the two hosts.
    ///
    /// The record names orders because orders and reports are two streams, and the clocks of two hosts do not prove
    /// which came first. A leak that is reported later closes the channel again.
    case clear(path: Path, channel: Channel, orders: [OrderID], at: Instant, reason: String)
    /// A controller takes over: orders that state a lower epoch and follow this record are refused.
    ///
    /// `controller` names the process, to distinguish two that claim the same epoch.
    case takeOver(epoch: UInt64, controller: String, at: Instant)
}

extension OrderRecord {
    /// The epoch with which a controller takes over; `nil` for other records.
    public var epoch: UInt64? { if case .takeOver(let epoch, _, _) = self { epoch } else { nil } }
}

extension MigrationOrder {
    /// Creates the order that carries out a planned move over a channel.
    ///
    /// `definition`: the digest of the VM's definition from its newest sample.
    public init(
        _ move: PlannedMove,
        id: OrderID,
        channel: Channel,
        definition: String?,
        issuedAt: Instant,
        lifetime: Duration,
        issuer: Issuer,
        epoch: UInt64? = nil
    ) {
        self.init(
            id: id,
            vm: move.vm,
            vmName: move.vmName,
            source: move.source,
            target: move.target,
            channel: channel,
            technique: channel.technique,
            definition: definition,
            issuedAt: issuedAt,
            notBefore: issuedAt,
            expires: issuedAt + lifetime,
            issuer: issuer,
            epoch: epoch,
            reason: "\(move.reason)",
            code: move.reason.code,
            prediction: move.prediction
        )
    }
}
