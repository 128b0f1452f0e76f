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

    /// Stops a running VM and saves it, memory and devices, in a new file of the folder (stop-and-copy's first half).
    ///
    /// When it returns, the VM is off here (`.inactive`, or `.absent` if it is transient) and the image is complete. On
    /// any error but `.inDoubt` it runs here as before and no file is left. On `.inDoubt` the file, if there is one, may
    /// be all that is left of the VM's memory: see `presence` and `image(at:)`, and keep it.
    ///
    /// The image is the guest's memory in the clear: an implementation throws `.refused` for a folder that is not
    /// memory (tmpfs), that others may enter, or without room for all the VM's memory. Nothing keeps a person from
    /// starting the VM from the definition that stays here; that it does not start with its host is seen to.
    /// When the calling task is cancelled, the save is stopped; it may have been done by then, and return.
    func save(_ vm: VMID, in folder: String, timeLimit: Duration) async throws(HypervisorError) -> SavedVM

    /// What a saved image holds; throws if it is not complete.
    func image(at path: String) async throws(HypervisorError) -> SavedImage

    /// Lets a saved VM run on from its image here, and returns when it runs (stop-and-copy's second half): the instant
    /// from which it does.
    ///
    /// On any error but `.inDoubt` it does not run here, and the image is as it was; on `.inDoubt` it may run. After
    /// success the image is removed: it must not be restored twice.
    ///
    /// The caller has made sure that no other host has the VM active, and that none has let it run since it was saved:
    /// this memory would be older than its disks. It throws `.refused` if the VM is not as `restoration` says.
    /// `beforeStart` is called, on a thread that may block, when nothing is left to do but to let the VM run; if it
    /// throws, the VM does not run.
    /// Not stopped by cancellation: a VM that is off is waiting for it.
    func restore(
        _ saved: SavedVM,
        _ restoration: Restoration,
        timeLimit: Duration,
        beforeStart: @Sendable @escaping () throws -> Void
    ) async throws(HypervisorError) -> Instant

    /// What a peer's hypervisor shows of its machine and its active VMs, asked of it directly.
    func observation(ofPeer uri: String, named host: HostName) async throws(HypervisorError) -> PeerObservation
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
    /// The digest of its definition (`VMSample.definition`), of an active VM.
    public var definition: String?
    public init(
        id: VMID,
        name: String,
        state: VMState,
        cpuTimeNanoseconds: UInt64?,
        waitTimeNanoseconds: UInt64? = nil,
        vcpus: Int?,
        memoryBytes: UInt64?,
        definition: String? = nil
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.cpuTimeNanoseconds = cpuTimeNanoseconds
        self.waitTimeNanoseconds = waitTimeNanoseconds
        self.vcpus = vcpus
        self.memoryBytes = memoryBytes
        self.definition = definition
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
