// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Hypervisor

/// The course of the next migration of a VM in the in-memory world.
public struct InMemoryScript: Sendable, Equatable {
    /// The event at the step.
    public enum Turn: Sendable, Equatable {
        case arrive
        case fail(HypervisorError.Kind, detail: String)
        /// The migration sends nothing until it is cancelled, reaches a limit, or is released.
        case hang
        /// The call ends with `.inDoubt`; the agent must find out the result.
        case loseTouch(Aftermath)
    }

    /// The result of a migration whose caller lost the connection.
    public enum Aftermath: Sendable, Equatable {
        /// The VM runs at the source as before.
        case stayed
        /// The VM runs at the target, and the source no longer has it.
        case arrived
        /// The VM runs at the target, and the source still has the paused copy that it handed over.
        case handedOver
        /// The VM was shut down at the target, and the source still has the paused copy that it handed over.
        case shutOffAtTarget
        /// The VM is paused at the source, and the target has no copy.
        case pausedAtSource
        /// The VM of an offline move was started at the source, and the target has its definition.
        case startedAtSource
        /// The hypervisors continue the migration until `InMemoryWorld.end` ends it.
        case goesOn
    }

    /// Number of equal steps in which the memory is sent; progress is reported after each.
    public var steps: Int
    /// The step before which the turn happens; `steps` for the end.
    public var atStep: Int
    public var turn: Turn

    public init(_ turn: Turn = .arrive, atStep: Int = 2, steps: Int = 4) {
        self.turn = turn
        self.atStep = atStep
        self.steps = steps
    }
}

/// The course of the next save or restore of a VM in the in-memory world.
public enum InMemoryTurn: Sendable, Equatable {
    case succeed
    case fail(HypervisorError.Kind, detail: String)
    /// The call ends with `.inDoubt`; `done` is whether the action was performed.
    case loseTouch(done: Bool)
}

/// A host of the in-memory world.
public struct InMemoryHost: Sendable, Equatable {
    public var name: HostName
    /// The URI by which its peers know it.
    public var uri: String
    public var memoryBytes: UInt64
    public var facts: HypervisorFacts
    /// The libvirt networks that are active on it.
    public var networks: [String]
    /// Preflight failures that it reports for every VM.
    public var unmet: [PreflightFailure]
    /// What ties each VM to it.
    public var blockers: [VMID: [PreflightFailure.HypervisorReason]] = [:]
    /// VMs whose definitions its hypervisor cannot read.
    public var unreadableDefinitions: Set<VMID> = []
    /// Whether its hypervisor answers.
    public var answers: Bool

    public init(
        name: HostName,
        uri: String,
        memoryBytes: UInt64,
        facts: HypervisorFacts,
        networks: [String] = [],
        unmet: [PreflightFailure] = [],
        answers: Bool = true
    ) {
        self.name = name
        self.uri = uri
        self.memoryBytes = memoryBytes
        self.facts = facts
        self.networks = networks
        self.unmet = unmet
        self.answers = answers
    }
}
