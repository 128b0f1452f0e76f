// SPDX-License-Identifier: Apache-2.0

/// The path on which a VM's memory travels.
public enum Channel: String, Codable, Sendable, CaseIterable {
    /// Inner addresses that exist only inside IPsec tunnels.
    case ipsec
    /// QEMU's own TLS between the hosts' LAN addresses, both sides with their certificates.
    case tls
    /// The same inside the IPsec tunnels.
    case ipsecTLS = "ipsec+tls"
    /// Through libvirt's connection over ssh.
    case ssh
    /// Stop-and-copy of an image under authenticated encryption, which needs no path of its own.
    case sealed
    /// In the clear over the hosts' LAN: for benchmarks, by name, per run; no policy can choose it.
    case plain
}

extension Channel {
    /// Those that a policy may allow: all but `plain`.
    public static let protected: [Channel] = allCases.filter { $0 != .plain }
}

extension Channel {
    /// Whether the memory comes to the target's migration ports.
    public var usesMigrationPorts: Bool { ![.ssh, .sealed].contains(self) }
}

/// How the memory is moved.
public enum Technique: String, Codable, Sendable {
    case preCopy
    /// The VM is saved, its image carried over, and restored.
    case stopAndCopy
}

extension Channel {
    /// How memory travels on it.
    public var technique: Technique { self == .sealed ? .stopAndCopy : .preCopy }
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
    /// The digest of the VM's definition that the order is for (`VMSample.definition`); `nil`: whatever it is.
    public var definition: String?
    public var issuedAt: Instant
    /// Before this instant no agent may begin it; `nil`: at once.
    public var notBefore: Instant?
    /// After this instant no agent may accept it.
    public var expires: Instant
    /// After this instant, which leaves time for the target's consent, the move itself may not begin any more.
    public var latestBeginning: Instant { expires + .seconds(30) }
    /// Who asked: `controller` or `operator`.
    public var issuer: Issuer
    /// Why, as text.
    public var reason: String
    /// The stable code of a plan's reason; `nil` where an operator gave the order, and in older records.
    public var code: String?
    /// What the controller expects of it; `nil` for an operator's order.
    public var prediction: Prediction?

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
    /// A person has looked into the leaks of these orders: they no longer close the channel between the two hosts.
    ///
    /// Orders are named because they and reports are read from two streams, and clocks of two hosts do not say which
    /// came first: a leak that is reported later closes the channel again.
    case clear(path: Path, channel: Channel, orders: [OrderID], at: Instant, reason: String)
}

extension MigrationOrder {
    /// The order that carries out a planned move over a channel.
    ///
    /// `definition`: the digest of the VM's definition by its newest sample.
    public init(
        _ move: PlannedMove,
        id: OrderID,
        channel: Channel,
        definition: String?,
        issuedAt: Instant,
        lifetime: Duration,
        issuer: Issuer
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
            reason: "\(move.reason)",
            code: move.reason.code,
            prediction: move.prediction
        )
    }
}
