// SPDX-License-Identifier: Apache-2.0

/// Why an order ended without a move.
///
/// A `detail` is the unchanged text of another program, such as libvirt, or of an error.
public enum FailureReason: Codable, Sendable, Equatable {
    /// The order is not valid, or it was not possible to begin it.
    case order(Obstacle)
    /// A check before the move failed: see `OrderFailure.preflight`.
    case preflight
    case move(Trouble)
    /// The end of the move was not seen, and an inquiry searched for the VM.
    case inquiry(Doubt, Finding)
    case sealed(Sealing)
    /// The text of an older agent.
    case other(String)

    public enum Obstacle: Codable, Sendable, Equatable {
        case agentRestarted
        case cancelled(reason: String)
        /// A record ended the order in place of its source.
        case endedForSource(HostName, reason: String)
        case expiredUnseen
        case expiredWaiting
        case tooEarly(Duration)
        case sourceSilent(HostName)
        case targetSilent(HostName, limit: Duration)
        case channelClosed(ClosedByLeak)
        case wrongTechnique(Technique, Channel)
        case sameHost
        case vmIsMoving(OrderID)
        case vmIsSearched(OrderID)
        case newerOrder(OrderID)
        case pathInUse(OrderID, target: HostName)
        case digestUnknown(vm: String)
        case definitionNotNamed(vm: String)
        case definitionChanged(vm: String)
        /// The target of a sealed move named no key.
        case noSealingKey(HostName)
        /// A sealed move returned to its source before it began.
        case handedBack(reason: String)
        case ledgerNotWritten
        /// The journal on this host's disk shows that the order was begun before.
        case begunBefore(OrderID)
        case beginningNotNoted(detail: String)
        /// The ledger has the report that the order begins, but this host has no durable mark of it.
        case beginningNotMarked
        case closuresDamaged(detail: String)
        /// Another controller has taken over from the one that gave the order.
        case controllerSuperseded(epoch: UInt64, by: UInt64)
    }

    public enum Trouble: Codable, Sendable, Equatable {
        case noPath(target: HostName, vm: String, source: HostName, detail: String)
        case pathLost(detail: String)
        case hypervisor(detail: String)
        case reportTooLong
    }

    /// Why the location of the VM was not known.
    public enum Doubt: Codable, Sendable, Equatable {
        case agentRestarted
        case answerLost(detail: String)
        case moveFailed
        /// The VM is on the source again, although the move was done.
        case returned
    }

    /// The result of an inquiry on source and target.
    public enum Finding: Codable, Sendable, Equatable {
        case stayed(vm: String, source: HostName)
        case stayedUnasked(vm: String, source: HostName, target: HostName, detail: String)
        case resumed(vm: String, source: HostName, target: HostName)
        /// Shut off, or its host was down.
        case stayedOff(vm: String, source: HostName, target: HostName)
        case pausedHereAndElsewhere(vm: String, source: HostName, other: HostName)
        case copyHereAndElsewhere(vm: String, source: HostName, other: HostName)
        case pausedHereInactiveThere(vm: String, source: HostName, target: HostName)
        case pausedHereNotResumed(vm: String, source: HostName, target: HostName, detail: String)
        /// It runs at the target, and the source's leftovers were removed.
        case foundThere(vm: String, source: HostName, target: HostName)
        /// It is at the target without a definition, so the source keeps its own.
        case transientThere(vm: String, source: HostName, target: HostName)
        case runsHereCopyThere(vm: String, source: HostName, target: HostName)
        case runsNowhere(vm: String, source: HostName, target: HostName)
        case duplicatePaused(vm: String, source: HostName, target: HostName)
        case duplicateRuns(vm: String, source: HostName, target: HostName, detail: String)
        /// The source, which runs the VM, did not ask the target, which paused its own copy.
        case duplicatePausedThere(vm: String, source: HostName, target: HostName)
        /// The target runs the VM, and its source reported that it runs it, too.
        case mayRunOnBoth(vm: String, source: HostName, target: HostName)
        case undecided(detail: String, limit: Duration)
        /// An offline move: the VM was started on the source, and its definition is on the target, whose agent removes
        /// it.
        case definedThere(vm: String, source: HostName, target: HostName)
        /// An offline move that had failed: the definition is at the target, and the source's was removed.
        case definitionFoundThere(vm: String, source: HostName, target: HostName)
        /// An offline move: neither host has the definition.
        case definedNowhere(vm: String, source: HostName, target: HostName)
    }

    public enum Sealing: Codable, Sendable, Equatable {
        case stayed(vm: String, source: HostName, cause: String)
        case notTakenBack(vm: String, source: HostName, cause: String, detail: String)
        case beginningUnknown(vm: String, source: HostName, DomainPresence)
        case notTakenUp(vm: String, source: HostName, target: HostName)
        case malformedKey(vm: String, source: HostName, target: HostName)
        case noKeyHere
        case imageNotOpen
        case notEncrypted(detail: String)
        case notRecalled(OrderID, detail: String)
        case vmIs(DomainPresence, vm: String, host: HostName)
        case noImage(DomainPresence, vm: String, host: HostName, folder: String)
        case definedMeanwhile(vm: String, host: HostName, folder: String)
        case mayHaveRun(vm: String)
        case failed(detail: String)
    }
}

/// A channel that the leak of an order has closed.
public struct ClosedByLeak: Codable, Sendable, Equatable {
    public var path: Path
    public var channel: Channel
    public var order: OrderID
    public init(path: Path, channel: Channel, order: OrderID) {
        self.path = path
        self.channel = channel
        self.order = order
    }
}
