// SPDX-License-Identifier: Apache-2.0

/// An agent's report about an order: one step of it.
///
///     submitted ─▶ accepted ─▶ prepared ─▶ running ─▶ done
///         │           │           │           │
///         └───────────┴───────────┴───────────┴─────▶ failed
///
/// The source's agent accepts the order and states what the VM needs. The target's agent prepares after its checks have
/// passed. Then the source runs the move. Either agent may end the order with `failed`.
public struct OrderReport: Codable, Sendable, Equatable {
    public var order: OrderID
    public var host: HostName
    public var at: Instant
    public var step: OrderStep
    /// With `prepared`: how long the target took to open its gates for the source, in seconds.
    ///
    /// `nil` for a sealed move, which uses no port.
    public var gateSeconds: Double?
    /// With `prepared`, if the VM starts with its host: whether this agent sets that after the move; `nil` from an older
    /// agent, which does not.
    public var takesOverAutostart: Bool?
    /// With `prepared`: whether this agent confirms after the move that the VM's definition is durable; `nil` from an
    /// older agent, which does not, and for a sealed move.
    public var confirmsDefinition: Bool?
    public init(
        order: OrderID,
        host: HostName,
        at: Instant,
        step: OrderStep,
        gateSeconds: Double? = nil,
        takesOverAutostart: Bool? = nil,
        confirmsDefinition: Bool? = nil
    ) {
        self.order = order
        self.host = host
        self.at = at
        self.step = step
        self.gateSeconds = gateSeconds
        self.takesOverAutostart = takesOverAutostart
        self.confirmsDefinition = confirmsDefinition
    }

    /// Keeps what this version understands: the order, the host, and that there was a step.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        order = try values.decode(OrderID.self, forKey: .order)
        host = try values.decode(HostName.self, forKey: .host)
        at = try values.decode(Instant.self, forKey: .at)
        gateSeconds = try values.decodeIfPresent(Double.self, forKey: .gateSeconds)
        takesOverAutostart = try values.decodeIfPresent(Bool.self, forKey: .takesOverAutostart)
        confirmsDefinition = try values.decodeIfPresent(Bool.self, forKey: .confirmsDefinition)
        do { step = try values.decode(OrderStep.self, forKey: .step) } catch {
            let names = try values.nestedContainer(keyedBy: AnyName.self, forKey: .step).allKeys
            guard names.count == 1 else { throw error }
            step = .notUnderstood(step: names[0].stringValue)
        }
    }

    /// What this version does not understand of the report; `nil` if it understands all of it.
    public var notUnderstood: String? {
        if case .notUnderstood(let step) = step { "the step '\(step.plainText(limit: 40))'" } else { nil }
    }

    private struct AnyName: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

/// A step of an order; a sealed move has steps of its own while it runs: see `Handover`.
public enum OrderStep: Codable, Sendable, Equatable {
    /// By the source: the VM is here and may move; these are its requirements.
    case accepted(requirements: VMRequirements)
    /// By the target: everything that the VM needs is here.
    ///
    /// `sealingKey`: the public key, in base 64, for which the image of a sealed move is to be encrypted.
    case prepared(sealingKey: String? = nil)
    /// By the source, repeatedly while the migration runs.
    case running(progress: MigrationProgress)
    /// By the source of a sealed move: the VM is off, and its image is on the shared storage for the target.
    case sealed(image: SealedImage)
    /// By the target: the image, a file with this SHA-256, is decrypted here, and the VM can run from it.
    case opened(digest: String)
    /// By the source: the target may run the VM; never after `withdrawn`.
    case released
    /// By the source: it takes the VM back; never after `released`.
    case withdrawn(reason: String)
    /// By the target, after `released`: the VM has run here since then.
    case restored(at: Instant)
    /// By the target: it does not run the VM and never will under this order; the source may take it back.
    case declined(reason: String)
    /// By the source, also after the end: where is the VM?
    case asked(question: PresenceQuestion)
    /// By any host: the state of the VM at its hypervisor, after it has read the question of this time.
    ///
    /// `isPersistent`: whether the VM has a definition there; `nil` if it is absent, and from an older agent.
    case answered(presence: DomainPresence, question: Instant, isPersistent: Bool? = nil)
    /// By the source: the VM runs at the target.
    case done(outcome: MigrationOutcome, evidence: Evidence)
    /// By source or target: ended without a move.
    case failed(failure: OrderFailure)
    /// A step that another version wrote and this one does not understand; it changes and ends nothing.
    case notUnderstood(step: String)

    public enum Reporter: Sendable { case source, target, either, anyone }

    /// The host whose agent may report this step.
    public var reporter: Reporter {
        switch self {
        case .accepted, .running, .sealed, .released, .withdrawn, .asked, .done: .source
        case .prepared, .opened, .restored, .declined: .target
        case .failed: .either
        case .answered, .notUnderstood: .anyone
        }
    }

    public var isFinal: Bool {
        switch self {
        case .done, .failed: true
        case .accepted, .prepared, .running, .sealed, .opened, .released, .withdrawn, .restored, .declined, .asked,
            .answered, .notUnderstood:
            false
        }
    }

    /// Whether the step belongs to the search for a VM, and not to the move.
    public var isOfSearch: Bool {
        switch self {
        case .asked, .answered: true
        case .accepted, .prepared, .running, .sealed, .opened, .released, .withdrawn, .restored, .declined, .done,
            .failed, .notUnderstood:
            false
        }
    }
}

/// The requirements of a VM on its target, read by the source's agent when it accepts an order.
public struct VMRequirements: Codable, Sendable, Equatable {
    public var id: VMID
    public var name: String
    /// libvirt's domain type: `kvm`, `qemu`, `xen`.
    public var domainType: String
    public var hypervisor: HypervisorFacts
    public var emulator: String?
    public var machine: String
    public var architecture: String
    public var vcpus: Int
    public var memoryBytes: UInt64
    /// The `<cpu>` element of the live definition; `nil` if it has none.
    public var cpuXML: String?
    /// The source's CPU, as the `<cpu>` element of its capabilities, for a VM that sees it unchanged; otherwise `nil`.
    public var hostCPU: String?
    public var disks: [DiskSource]
    /// The files among the disks; `nil` from an older agent.
    public var files: [DiskFile]?
    /// Networks and bridges of its interfaces.
    public var networks: [NetworkSource]
    /// The digest of its definition (`VMSample.definition`).
    public var definition: String?
    /// Whether it starts with its host (libvirt: autostart); `nil` from an older agent.
    public var startsWithHost: Bool?
    /// Whether it has no definition, here and after the move; `nil`: it has one.
    public var isTransient: Bool?

    public init(
        id: VMID,
        name: String,
        domainType: String,
        hypervisor: HypervisorFacts,
        emulator: String?,
        machine: String,
        architecture: String,
        vcpus: Int,
        memoryBytes: UInt64,
        cpuXML: String?,
        hostCPU: String? = nil,
        disks: [DiskSource],
        files: [DiskFile]? = [],
        networks: [NetworkSource],
        definition: String? = nil,
        startsWithHost: Bool? = false
    ) {
        self.id = id
        self.name = name
        self.domainType = domainType
        self.hypervisor = hypervisor
        self.emulator = emulator
        self.machine = machine
        self.architecture = architecture
        self.vcpus = vcpus
        self.memoryBytes = memoryBytes
        self.cpuXML = cpuXML
        self.hostCPU = hostCPU
        self.disks = disks
        self.files = files
        self.networks = networks
        self.definition = definition
        self.startsWithHost = startsWithHost
    }
}

/// The location of a disk's data.
public enum DiskSource: Codable, Sendable, Equatable {
    case iscsi(address: String, port: Int, iqn: String, lun: Int)
    case file(path: String)
    /// `identity`: WWID, device mapper's uuid or serial from the kernel; `nil` if it has none.
    case block(path: String, identity: String?)
    /// A kind whose reachability another host cannot check.
    case other(type: String, detail: String)
}

/// The network of an interface.
public enum NetworkSource: Codable, Sendable, Equatable {
    case bridge(name: String)
    case network(name: String)
    case other(type: String)
}

/// The progress of a running migration.
public struct MigrationProgress: Codable, Sendable, Equatable {
    public var elapsedSeconds: Double
    public var bytesTransferred: UInt64
    public var bytesRemaining: UInt64
    public var bytesTotal: UInt64
    public var iteration: Int?
    public var dirtyPagesPerSecond: UInt64?
    public init(
        elapsedSeconds: Double,
        bytesTransferred: UInt64,
        bytesRemaining: UInt64,
        bytesTotal: UInt64,
        iteration: Int? = nil,
        dirtyPagesPerSecond: UInt64? = nil
    ) {
        self.elapsedSeconds = elapsedSeconds
        self.bytesTransferred = bytesTransferred
        self.bytesRemaining = bytesRemaining
        self.bytesTotal = bytesTotal
        self.iteration = iteration
        self.dirtyPagesPerSecond = dirtyPagesPerSecond
    }
}

extension MigrationProgress {
    /// The progress of a move that is about to begin.
    public static let beginning = MigrationProgress(
        elapsedSeconds: 0,
        bytesTransferred: 0,
        bytesRemaining: 0,
        bytesTotal: 0
    )
}

/// The figures of a finished migration as reported by the hypervisor.
///
/// A figure that was not reported is `nil`.
public struct MigrationOutcome: Codable, Sendable, Equatable {
    public var startedAt: Instant
    public var endedAt: Instant
    public var totalSeconds: Double?
    /// How long no instance executed.
    public var downtimeSeconds: Double?
    /// Memory bytes sent.
    public var bytesTransferred: UInt64?
    public var iterations: Int?
    /// Anything an operator should know, such as that the outcome was found after a restart.
    public var note: String?
    public init(
        startedAt: Instant,
        endedAt: Instant,
        totalSeconds: Double? = nil,
        downtimeSeconds: Double? = nil,
        bytesTransferred: UInt64? = nil,
        iterations: Int? = nil,
        note: String? = nil
    ) {
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.totalSeconds = totalSeconds
        self.downtimeSeconds = downtimeSeconds
        self.bytesTransferred = bytesTransferred
        self.iterations = iterations
        self.note = note
    }
}
