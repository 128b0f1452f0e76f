// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// What the agent needs of its host's hypervisor.
public protocol Hypervisor: Sendable {
    /// Type, versions, architecture and CPU model.
    func facts() async throws(HypervisorError) -> HypervisorFacts

    /// Every VM the hypervisor knows, running or not, with counters since its start.
    func domains() async throws(HypervisorError) -> [DomainStatus]

    /// Where one VM stands on this host.
    func presence(of vm: VMID) async throws(HypervisorError) -> DomainPresence

    /// What the VM needs of a host that takes it, read from its live definition.
    ///
    /// Throws `.refused` when the VM cannot be moved safely from here at all: it does not run, or a disk's cache mode
    /// makes a move unsafe.
    func requirements(of vm: VMID) async throws(HypervisorError) -> VMRequirements

    /// The requirements that this hypervisor itself can judge and does not meet: type and version, machine type, CPU,
    /// libvirt networks, a clash of name or uuid. Empty when all are met.
    func unmet(_ requirements: VMRequirements, on host: HostName) async throws(HypervisorError) -> [PreflightFailure]

    /// Moves a running VM to another host and returns when it runs there.
    ///
    /// On any error the VM is still here as it was, unless the error is `.inDoubt`. `progress` is called about once a
    /// second. When the calling task is cancelled, the migration is stopped, and the call returns once that is known.
    func migrate(
        _ request: MigrationRequest,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationOutcome

    /// Asks a running migration of the VM to stop; `migrate` then fails with `.cancelled`.
    func cancelMigration(of vm: VMID) async throws(HypervisorError)

    /// Where the VM stands on a peer, asked of the peer's hypervisor directly.
    func presence(of vm: VMID, atPeer uri: String) async throws(HypervisorError) -> DomainPresence

    /// Resumes a VM that a failed migration left paused here.
    ///
    /// The caller has made sure that the target does not know the VM (`.absent`): one that is `.inactive` there may
    /// have run and written to its disks, and this memory is older. For the same reason an implementation throws
    /// `.refused` for a transient VM, which leaves no trace where it has run.
    func resume(_ vm: VMID) async throws(HypervisorError)

    /// Pauses a VM that runs here.
    ///
    /// For one that was seen to run on two hosts: libvirt resumes the source's copy when the answer to its last step is
    /// lost, though the target may have taken over; each moment that both write to the disks does harm.
    func suspend(_ vm: VMID) async throws(HypervisorError)

    /// Removes what a finished migration left here: a paused copy, and the persistent definition with which the VM could
    /// be started a second time (a hypervisor daemon that dies in the last step leaves one or both).
    ///
    /// The caller has seen that the VM is the target's: it runs there, or its owner paused it there. An implementation
    /// refuses if the VM is active here and not paused by a migration, and throws `.noSuchVM` if nothing is left.
    ///
    /// It hands nothing on: whether the VM starts with its host, which `migrate` sets at the target at its end, is lost
    /// with the definition, and a person has to set it there.
    func discardHandedOver(_ vm: VMID) async throws(HypervisorError)
}

/// A VM with the hypervisor's counters.
public struct DomainStatus: Sendable, Equatable {
    public var id: VMID
    public var name: String
    public var state: VMState
    /// CPU time used since its start, in nanoseconds.
    public var cpuTimeNanoseconds: UInt64?
    /// Time since its start in which its VCPUs were ready to run and had to wait for a CPU, in nanoseconds.
    public var waitTimeNanoseconds: UInt64?
    public var vcpus: Int?
    public var memoryBytes: UInt64?
    public init(
        id: VMID,
        name: String,
        state: VMState,
        cpuTimeNanoseconds: UInt64?,
        waitTimeNanoseconds: UInt64? = nil,
        vcpus: Int?,
        memoryBytes: UInt64?
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.cpuTimeNanoseconds = cpuTimeNanoseconds
        self.waitTimeNanoseconds = waitTimeNanoseconds
        self.vcpus = vcpus
        self.memoryBytes = memoryBytes
    }
}

/// One migration as the hypervisor is asked to do it: pre-copy, live, peer to peer.
public struct MigrationRequest: Sendable, Equatable {
    public var vm: VMID
    /// The peer hypervisor's URI, over which the two daemons talk.
    public var peerURI: String
    /// Where the memory goes, for instance `tcp://10.78.0.2`.
    public var migrateURI: String
    /// The address the target listens on.
    public var listenAddress: String
    /// The longest it may take in all, and the longest without any progress.
    public var timeLimit: Duration
    public var stallLimit: Duration
    /// The downtime aimed at.
    public var maxDowntime: Duration
    public init(
        vm: VMID,
        peerURI: String,
        migrateURI: String,
        listenAddress: String,
        timeLimit: Duration,
        stallLimit: Duration,
        maxDowntime: Duration
    ) {
        self.vm = vm
        self.peerURI = peerURI
        self.migrateURI = migrateURI
        self.listenAddress = listenAddress
        self.timeLimit = timeLimit
        self.stallLimit = stallLimit
        self.maxDowntime = maxDowntime
    }
}

/// What went wrong at the hypervisor: the attempt, the object, and the hypervisor's own words.
public struct HypervisorError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        case notConnected
        case noSuchVM
        /// A condition is not met; nothing was touched. Never of a migration that had begun.
        case refused
        case cancelled
        case timedOut
        /// The call ended and it is not known whether the VM runs here or at the target, or it was seen on both.
        case inDoubt
        case failed
    }
    public var kind: Kind
    /// What was attempted, on what: `migrate VM web1 to qemu+tls://h2/system`.
    public var attempt: String
    /// The hypervisor's words, with its error numbers.
    public var detail: String
    public init(_ kind: Kind, attempt: String, detail: String) {
        self.kind = kind
        self.attempt = attempt
        self.detail = detail
    }
    public var description: String { "cannot \(attempt): \(detail)" }
}
