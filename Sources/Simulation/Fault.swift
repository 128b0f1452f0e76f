// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Something that goes wrong, and for how long.
public enum Fault: Sendable, Equatable {
    /// Whom a partition cuts off.
    public enum Party: Sendable, Hashable {
        case host(Int)
        case controller
        case ledger
    }
    /// The agent's process ends, and is started again.
    case agentCrash(host: Int)
    case controllerCrash
    /// libvirtd ends, and is started again; VMs run on.
    case libvirtCrash(host: Int)
    /// The host loses everything in memory, boots, and starts its VMs again.
    case hostCrash(host: Int)
    /// Two that cannot talk to each other.
    case partition(Party, Party)
    /// Nobody can read or write the ledger.
    case ledgerOut
    /// The ledger's storage is full: it can be read, not written.
    case ledgerFull
    /// Records take up to so many milliseconds longer to be read.
    case ledgerSlow(milliseconds: Int64)
    /// Every record is read twice.
    case ledgerDuplicates
    /// Of appends, some fail although the record was written.
    case ledgerUnsure
    /// Of records written, some are never read by anybody (a torn line); never an order, nor the last word on one.
    case ledgerLoss
    /// A clock is wrong by so many milliseconds, and right again afterwards.
    case clockJump(Party, milliseconds: Int64)
    /// The next migration from the host fails in this phase.
    case migrationFails(host: Int, phase: MigrationPhase)
    /// The next migration from the host makes no progress while this lasts.
    case migrationHangs(host: Int)
    /// The next migration from the host succeeds, but its source does not hear of it.
    ///
    /// libvirt then resumes the source's copy, or leaves it paused.
    case answerLost(host: Int, resumes: Bool)
    /// The next migration from the host sends memory past its protected path, and its evidence shows it.
    case leak(host: Int)
    /// Of the reports on sealed moves, the host's agent alone refuses some, until this is over.
    ///
    /// Their writer's key is not known there yet, or they are dated ahead.
    case refusedReports(host: Int)
    /// What the host's hypervisor is asked to do in sealed moves comes up to 30 s later, be its agent dead by then.
    case lateCalls(host: Int)
    /// The VMs of the host are defined anew.
    case redefinition(host: Int)
    /// Somebody without the right key, or with another host's, writes orders and reports; and writes the controller's
    /// latest order again, as it was signed.
    case forgery(host: Int)
    /// The host tells that it has far more CPU than it has, and that it is idle.
    case lie(host: Int)
}

/// A step of a migration at which it can fail.
public enum MigrationPhase: Int, Sendable, CaseIterable {
    case prepare, memory, stop, finish, confirm
}

/// A fault with its time.
public struct ScheduledFault: Sendable, Equatable {
    /// Since the beginning of the run.
    public var at: Duration
    /// How long it lasts; a process is started again after it.
    public var lasts: Duration
    public var fault: Fault
    public init(at: Duration, lasts: Duration, fault: Fault) {
        self.at = at
        self.lasts = lasts
        self.fault = fault
    }
    public var end: Duration { at + lasts }
}

extension ScheduledFault: CustomStringConvertible {
    public var description: String { "\(at.inSecondsText) for \(lasts.inSecondsText): \(fault)" }
}

extension Duration {
    /// For instance `61.5 s`.
    var inSecondsText: String {
        let milliseconds = wholeMilliseconds
        let rest = milliseconds % 1000
        return rest == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds / 1000).\(rest / 100) s"
    }
}
