// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The operations that the agent needs from its host's hypervisor.
public protocol Hypervisor: Sendable {
    /// Returns type, versions, architecture and CPU model.
    func facts() async throws(HypervisorError) -> HypervisorFacts

    /// Returns every VM that the hypervisor knows, running or not, with counters since its start.
    func domains() async throws(HypervisorError) -> [DomainStatus]

    /// Returns the definition of every persistent VM, running or not, without secrets.
    ///
    /// Throws only if the hypervisor does not list the VMs: one VM whose definition it cannot read costs no other's.
    func definitions() async throws(HypervisorError) -> PersistentDefinitions

    /// Returns the state of one VM on this host.
    func presence(of vm: VMID) async throws(HypervisorError) -> DomainPresence

    /// Returns whether a VM that this host has is defined here, so that its definition stays after it stops.
    func isPersistent(_ vm: VMID) async throws(HypervisorError) -> Bool

    /// Returns why a VM cannot leave this host, whatever the target; empty if the hypervisor knows no reason.
    ///
    /// It checks the devices of the live definition, cache modes, snapshots, checkpoints, block jobs, and whether the
    /// VM's libvirt networks end at this host.
    func migrationBlockers(of vm: VMID) async throws(HypervisorError) -> [PreflightFailure.HypervisorReason]

    /// Returns the VM's requirements for a target, read from its live definition.
    ///
    /// Throws `.refused` if the VM does not run. It does not check `migrationBlockers`.
    func requirements(of vm: VMID) async throws(HypervisorError) -> VMRequirements

    /// Returns the requirements of a VM that is off for a target, read from its definition, and why it cannot leave this
    /// host.
    ///
    /// Throws `.refused` if the VM is not off.
    func offlineRequirements(of vm: VMID) async throws(HypervisorError) -> OfflineRequirements

    /// Returns the requirements that this hypervisor can check itself and does not meet; empty when all are met.
    ///
    /// It checks type and version, machine type, CPU, libvirt networks, and a conflict of name or uuid.
    func unmet(_ requirements: VMRequirements, on host: HostName) async throws(HypervisorError) -> [PreflightFailure]

    /// Moves a running VM to another host and returns when it runs there; if the request is offline, moves the
    /// definition of a VM that is off, and returns when it is defined there and no longer here.
    ///
    /// An offline move that had begun throws `.inDoubt` on any error: either host may have the definition, or both.
    /// On any error except `.inDoubt`, the VM is still here as it was. Unless the error is `.refused`, the target may run
    /// it, too: the hypervisor resumes it here if it misses the target's last answer. `progress` is called about once a
    /// second. If the calling task is cancelled, the migration is stopped, and the call returns once the result is
    /// known.
    func migrate(
        _ request: MigrationRequest,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationOutcome

    /// Asks a running migration of the VM to stop; `migrate` then fails with `.cancelled`.
    func cancelMigration(of vm: VMID) async throws(HypervisorError)

    /// Resumes a VM that a failed migration left paused here.
    ///
    /// The caller must have verified that the target does not know the VM (`.absent`). A VM that is `.inactive` there
    /// may have run and written to its disks, and this memory is older. For the same reason, an implementation throws
    /// `.refused` for a transient VM: such a VM leaves no trace where it has run.
    func resume(_ vm: VMID) async throws(HypervisorError)

    /// Starts a VM that an interrupted `restore` left paused here, persistent or transient.
    ///
    /// The caller must have verified that no other host may run it: unlike `resume`, this does not refuse a transient VM.
    func startRestored(_ vm: VMID) async throws(HypervisorError)

    /// Pauses a VM that runs here.
    ///
    /// For a duplicate, a VM that was observed to run on two hosts. libvirt resumes the source's copy when the answer
    /// to its last step is lost, although the target may have taken over. Each moment in which both copies write to the
    /// disks does harm.
    func suspend(_ vm: VMID) async throws(HypervisorError)

    /// Removes the remains of a finished migration: a paused copy, and the persistent definition.
    ///
    /// With the definition the VM could be started a second time. A hypervisor daemon that dies in the last step leaves
    /// one or both. The caller must have verified that the VM is the target's: it runs there, or its owner paused it
    /// there. An implementation refuses if the VM is active here and not paused by a migration. It throws `.noSuchVM`
    /// if nothing is left.
    ///
    /// Whether the VM starts with its host is lost with the definition; see `setAutostart`.
    func discardHandedOver(_ vm: VMID) async throws(HypervisorError)

    /// Sets whether a VM starts with this host.
    ///
    /// A VM does not take this setting along. Turn it off before `migrate`; `save` removes it with the definition, and
    /// turns it on again if the VM stays.
    func setAutostart(of vm: VMID, to isOn: Bool) async throws(HypervisorError)

    /// Starts a VM that is defined here and off.
    ///
    /// The caller must have verified that it is active on no other host.
    func start(_ vm: VMID) async throws(HypervisorError)

    /// Stops a running VM and saves its memory and devices in a new file of the folder (first half of stop-and-copy).
    ///
    /// When it returns, the VM is `.absent` here and the image is complete. On any error except `.inDoubt`, it runs here
    /// as before and no file is left. On `.inDoubt`, the file, if it exists, may be the only copy of the VM's memory:
    /// keep it, and check `presence` and `image(at:)`.
    ///
    /// The VM's definition is removed before it stops, so that nobody can start it here while its memory is on its way.
    /// `keep` is called before that, on a thread that may block, with everything but the image: what it stores is then
    /// the only copy of the definition; see `define`. If it throws, the VM stays as it is.
    ///
    /// The image is the guest's memory in the clear. An implementation throws `.refused` unless the folder is in memory
    /// (tmpfs), closed to others, and has room for all the VM's memory. If the calling task is cancelled, the save is
    /// stopped; it may have completed by then, and return.
    func save(
        _ vm: VMID,
        in folder: String,
        timeLimit: Duration,
        keep: @Sendable @escaping (SavedVM) throws -> Void
    ) async throws(HypervisorError) -> SavedVM

    /// Gives a VM its definition again, unless it has one here.
    func define(_ definition: String, of vm: VMID) async throws(HypervisorError)

    /// Returns the VM of a saved image; throws if the image is not complete.
    func image(at path: String) async throws(HypervisorError) -> SavedImage

    /// Resumes a saved VM from its image here, and returns the instant from which it runs (second half of
    /// stop-and-copy).
    ///
    /// On any error except `.inDoubt`, it does not run here, and the image is unchanged; on `.inDoubt` it may run.
    /// After success the image is removed: it must not be restored twice.
    ///
    /// The caller must have verified that the VM is active on no other host, and that none has resumed it since it was
    /// saved: this memory would be older than its disks. Throws `.refused` if the state of the VM does not match
    /// `restoration`. `beforeStart` is called immediately before the VM is resumed, on a thread that may block; if it
    /// throws, the VM does not run. Cancellation does not stop it, because the VM is off until it completes.
    func restore(
        _ saved: SavedVM,
        _ restoration: Restoration,
        timeLimit: Duration,
        beforeStart: @Sendable @escaping () throws -> Void
    ) async throws(HypervisorError) -> Instant
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
    /// The digest of its definition (`VMSample.definition`).
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

/// A failure of the hypervisor: the attempt, its object, and the hypervisor's own message.
public struct HypervisorError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        case notConnected
        case noSuchVM
        /// A condition is not met; nothing was touched. Never used for a migration that had begun.
        case refused
        case cancelled
        case timedOut
        /// The call ended, but the VM may run here or at the target.
        case inDoubt
        case failed
    }
    public var kind: Kind
    /// The attempt and its object: `migrate VM web1 to qemu+tls://h2/system`.
    public var attempt: String
    /// The hypervisor's message, with its error numbers.
    public var detail: String
    public init(_ kind: Kind, attempt: String, detail: String) {
        self.kind = kind
        self.attempt = attempt
        self.detail = detail
    }
    public var description: String { "cannot \(attempt): \(detail)" }
}
