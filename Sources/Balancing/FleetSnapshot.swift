// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The input of a plan: the fleet at one instant, as recorded in the ledger.
public struct FleetSnapshot: Sendable, Equatable {
    /// Rises with every record read; a plan carries it.
    public var revision: UInt64
    public var at: Instant
    /// In the order of their names.
    public var hosts: [HostHistory]
    public var movesInFlight: [Move]
    /// Moves that have ended, with any outcome.
    public var pastMoves: [PastMove]
    /// Channels on which a move leaked and which no operator has cleared since.
    public var closedChannels: Set<ClosedChannel>
    /// Hosts whose claims are contradicted, and how: they are neither source nor target of a planned move.
    public var distrusted: [HostName: [Contradiction]]
    /// Load statistics of the VMs beyond the windows of the histories.
    public var statistics: LoadStatistics
    /// Which host has a VM, if several list it as running.
    public var custody: Custody

    /// `statistics`: by default those of the histories.
    public init(
        revision: UInt64,
        at: Instant,
        hosts: [HostHistory],
        movesInFlight: [Move] = [],
        pastMoves: [PastMove] = [],
        closedChannels: Set<ClosedChannel> = [],
        distrusted: [HostName: [Contradiction]] = [:],
        statistics: LoadStatistics? = nil,
        custody: Custody = Custody()
    ) {
        self.revision = revision
        self.at = at
        self.hosts = hosts
        self.movesInFlight = movesInFlight
        self.pastMoves = pastMoves
        self.closedChannels = closedChannels
        self.distrusted = distrusted
        self.statistics = statistics ?? LoadStatistics(hosts)
        self.custody = custody
    }
}

extension FleetSnapshot {
    /// Returns the digest of a VM's definition from a host's newest sample, if it has one.
    public func definition(of vm: VMID, on host: HostName) -> String? {
        hosts.first { $0.name == host }?.latest?.vms?.first { $0.id == vm }?.definition
    }
}

/// A host's latest samples, oldest first.
public struct HostHistory: Sendable, Equatable {
    public var name: HostName
    public var samples: [LoadSample]
    public var latest: LoadSample? { samples.last }
    public init(name: HostName, samples: [LoadSample]) {
        self.name = name
        self.samples = samples
    }
}

/// A move that has ended.
public struct PastMove: Sendable, Equatable {
    public var move: Move
    public var channel: Channel
    public var endedAt: Instant
    public var succeeded: Bool
    /// Bandwidth of the migration under its escort; `nil`: not known.
    public var bytesPerSecond: Double?
    /// The last reported rate at which the guest dirtied memory; `nil`: not known.
    public var dirtyBytesPerSecond: Double?
    /// The target's refusal, if its reason lasts.
    public var refusal: LastingRefusal?
    public init(
        move: Move,
        channel: Channel = .ipsec,
        endedAt: Instant,
        succeeded: Bool,
        bytesPerSecond: Double? = nil,
        dirtyBytesPerSecond: Double? = nil,
        refusal: LastingRefusal? = nil
    ) {
        self.move = move
        self.channel = channel
        self.endedAt = endedAt
        self.succeeded = succeeded
        self.bytesPerSecond = bytesPerSecond
        self.dirtyBytesPerSecond = dirtyBytesPerSecond
        self.refusal = refusal
    }
}

/// A target's refusal of a VM for a reason that lasts: the same order would be refused again.
public struct LastingRefusal: Sendable, Equatable {
    public var reason: PreflightFailure.Reason
    /// The digest of the VM's definition.
    public var definition: String
    /// The target's hypervisor at that time; `nil`: not known.
    public var hypervisor: HypervisorFacts?

    /// After this time the target is asked again: not every change can be seen in a sample.
    public static let lifetime: Duration = .seconds(86400)

    public init(reason: PreflightFailure.Reason, definition: String, hypervisor: HypervisorFacts? = nil) {
        self.reason = reason
        self.definition = definition
        self.hypervisor = hypervisor
    }
}
