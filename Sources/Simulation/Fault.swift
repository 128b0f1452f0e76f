// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// A fault that the simulator can inject.
public enum Fault: Sendable, Equatable {
    /// The party that a partition cuts off.
    public enum Party: Sendable, Hashable {
        case host(Int)
        case controller
        case ledger
    }
    /// The agent's process ends and is restarted.
    case agentCrash(host: Int)
    case controllerCrash
    /// The controller freezes after its next decision, and another one takes over; its orders are written at the end.
    case controllerFrozen
    /// libvirtd ends and is restarted; VMs continue.
    case libvirtCrash(host: Int)
    /// The host loses everything in memory, boots, and starts its VMs again.
    case hostCrash(host: Int)
    /// Two parties cannot communicate.
    case partition(Party, Party)
    /// The ledger cannot be read or written.
    case ledgerOut
    /// The ledger's storage is full: it can be read, but not written.
    case ledgerFull
    /// Records take up to this many milliseconds longer to be read.
    case ledgerSlow(milliseconds: Int64)
    /// Every record is read twice.
    case ledgerDuplicates
    /// Some appends fail although the record was written.
    case ledgerUnsure
    /// Some written records are never read (a torn line); never an order, nor the last report on one.
    case ledgerLoss
    /// A clock is wrong by this many milliseconds, and correct again afterwards.
    case clockJump(Party, milliseconds: Int64)
    /// The next migration from the host fails in this phase.
    case migrationFails(host: Int, phase: MigrationPhase)
    /// The next migration from the host makes no progress while this lasts.
    case migrationHangs(host: Int)
    /// The next migration from the host succeeds, but its source does not learn of it.
    ///
    /// libvirt then resumes the source's copy, or leaves it paused.
    case answerLost(host: Int, resumes: Bool)
    /// The answer to the last step of the next migration from the host is lost, and libvirt resumes the source's copy. The
    /// source's agent reports it, and then dies until the fault ends.
    case agentDies(host: Int)
    /// The next migration from the host stops the VM and ends before the target runs it; the source does not learn of it
    /// and leaves its copy paused.
    case handoverLost(host: Int)
    /// The host crashes in this phase of its next migration, and stays away until the fault ends.
    ///
    /// After a minute an operator ends its orders.
    case hostLost(host: Int, phase: MigrationPhase)
    /// The target of the host's next migration crashes in this phase, and stays away until the fault ends.
    case targetLost(host: Int, phase: MigrationPhase)
    /// The target of the host's next migration loses power within two seconds after it runs the VM, and boots again.
    ///
    /// Definitions that it had not synced to its disk are lost.
    case targetPowerCut(host: Int)
    /// The host, or the target, crashes in this phase of the host's next migration, and never returns.
    ///
    /// After a minute an operator ends its orders, and gives up the VMs that were only there.
    case hostGone(host: Int, phase: MigrationPhase, isTarget: Bool)
    /// libvirtd is stuck: no call gets an answer, although VMs run and moves send memory.
    ///
    /// An agent gives a call up after 35 s; libvirtd still carries it out afterwards if the agent lives.
    case libvirtStuck(host: Int)
    /// The host crashes and boots with a clock that is wrong by this many milliseconds until the fault ends.
    case wrongClockAtBoot(host: Int, milliseconds: Int64)
    /// An operator shuts off a VM of the host, if possible one that is moving, and starts it again at the end.
    case operatorStops(host: Int)
    /// An operator pauses a VM of the host, and resumes it at the end.
    case operatorPauses(host: Int)
    /// An operator starts a VM on the host that it has left, although it runs on another host.
    case operatorStartsCopy(host: Int)
    /// An operator resumes the copies that moves have left paused on the host, of VMs that run nowhere.
    case operatorResumes(host: Int)
    /// The switch-over of the host's next migration is lost, and an operator starts the VM on a third host at once.
    case startedElsewhere(host: Int)
    /// A newer version of the host's agent states in its own way that moves are running: other agents do not understand it,
    /// nor does its own after a restart.
    case newerVersion(host: Int)
    /// The next migration from the host bypasses its protected path, and its evidence shows it.
    case leak(host: Int)
    /// The agent of this host alone rejects some reports on sealed moves until the fault ends.
    ///
    /// It does not know the writer's key yet, or the reports are dated in the future.
    case refusedReports(host: Int)
    /// Calls of the host's hypervisor in sealed moves take effect up to 30 s later, even if the agent has died.
    case lateCalls(host: Int)
    /// An operator starts the VMs that are off on the host.
    case operatorStartsOff(host: Int)
    /// The agent of the target ends when the host releases its next sealed image, and starts again two minutes later.
    ///
    /// Meanwhile an operator starts the VM from its disks on a third host.
    case releaseLost(host: Int)
    /// The local disk of the host is full: its agent can write neither marks nor its journal, and libvirt no autostart.
    case diskFull(host: Int)
    /// The VMs of the host are redefined.
    case redefinition(host: Int)
    /// Orders and reports are written without a valid key or with another host's key.
    ///
    /// The controller's latest order is also written again, with its original signature.
    case forgery(host: Int)
    /// The host reports far more CPU than it has, and that it is idle.
    case lie(host: Int)
    /// The host claims, in samples and answers, that it runs the VMs of all other hosts.
    case claims(host: Int)
}

/// A step of a migration at which it can fail.
public enum MigrationPhase: Int, Sendable, CaseIterable {
    case prepare, memory, stop, finish, confirm
}

/// A fault with its start and duration.
public struct ScheduledFault: Sendable, Equatable {
    /// Since the beginning of the run.
    public var at: Duration
    /// How long it lasts; a process is restarted after it.
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
    public var description: String { "\(at.text) for \(lasts.text): \(fault)" }
}
