// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Hypervisor

/// How the next migration of a VM goes in the in-memory world.
public struct InMemoryScript: Sendable, Equatable {
    /// What happens when the step is reached.
    public enum Turn: Sendable, Equatable {
        case arrive
        case fail(HypervisorError.Kind, detail: String)
        /// Sends nothing more until it is cancelled, reaches a limit, or the world releases it.
        case hang
        /// The call ends with `.inDoubt`; what is left then is for the agent to find out.
        case loseTouch(Aftermath)
    }

    /// What a migration whose caller lost touch leaves behind.
    public enum Aftermath: Sendable, Equatable {
        /// The VM runs at the source as before.
        case stayed
        /// The VM runs at the target and is gone at the source.
        case arrived
        /// The VM runs at the target, and the source still has the paused copy it handed over.
        case handedOver
        /// The VM ran at the target and was shut down there, and the source still has the paused copy it handed over.
        case shutOffAtTarget
        /// The VM is paused at the source, and the target has nothing.
        case pausedAtSource
        /// The hypervisors go on by themselves until the world ends it.
        case goesOn
    }

    /// Steps of equal size in which the memory is sent; progress is reported after each.
    public var steps: Int
    /// The step before which the turn comes; `steps` for the very end.
    public var atStep: Int
    public var turn: Turn

    public init(_ turn: Turn = .arrive, atStep: Int = 2, steps: Int = 4) {
        self.turn = turn
        self.atStep = atStep
        self.steps = steps
    }
}

/// How the next save or restore of a VM goes in the in-memory world.
public enum InMemoryTurn: Sendable, Equatable {
    case succeed
    case fail(HypervisorError.Kind, detail: String)
    /// The call ends with `.inDoubt`, and what it was to do was done, or not.
    case loseTouch(done: Bool)
}

/// A host of the in-memory world.
public struct InMemoryHost: Sendable, Equatable {
    public var name: HostName
    /// The URI under which its peers know it.
    public var uri: String
    public var memoryBytes: UInt64
    public var cpus: Int
    public var facts: HypervisorFacts
    /// The libvirt networks that are active on it.
    public var networks: [String]
    /// Checks it fails for every VM, to be told so.
    public var unmet: [PreflightFailure]
    /// Whether its hypervisor answers, to its own agent and to its peers.
    public var answers: Bool

    public init(
        name: HostName,
        uri: String,
        memoryBytes: UInt64,
        cpus: Int = 8,
        facts: HypervisorFacts,
        networks: [String] = [],
        unmet: [PreflightFailure] = [],
        answers: Bool = true
    ) {
        self.name = name
        self.uri = uri
        self.memoryBytes = memoryBytes
        self.cpus = cpus
        self.facts = facts
        self.networks = networks
        self.unmet = unmet
        self.answers = answers
    }
}
