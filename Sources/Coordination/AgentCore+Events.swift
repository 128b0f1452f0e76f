// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// What goes into the core, and what comes out.
extension AgentCore {
    public struct Limits: Codable, Sendable, Equatable {
        /// How long the source waits for the target's consent.
        public var consent: Duration
        /// Progress is written to the ledger no more often than this.
        public var progressInterval: Duration
        /// The longest that a migration may take; for those that an earlier life of the agent began.
        public var migration: Duration
        /// How long the hypervisors may leave open where a VM is before a person is called.
        public var doubt: Duration
        /// How long after the latest beginning of an order its target waits for a word of its source.
        public var silence: Duration
        /// How long a hypervisor may still begin what an earlier life of this agent asked of it.
        ///
        /// libvirt's QEMU driver waits 30 s for a VM's job lock.
        public var jobLock: Duration
        /// How long the other host of a sealed move may say nothing, beside the time that its image takes.
        public var handover: Duration
        public init(
            consent: Duration = .seconds(30),
            progressInterval: Duration = .seconds(2),
            migration: Duration = .seconds(3600),
            doubt: Duration = .seconds(600),
            silence: Duration = .seconds(300),
            jobLock: Duration = .seconds(35),
            handover: Duration = .seconds(60)
        ) {
            self.consent = consent
            self.progressInterval = progressInterval
            self.migration = migration
            self.doubt = doubt
            self.silence = silence
            self.jobLock = jobLock
            self.handover = handover
        }
    }

    /// What the core is told, and when.
    public struct Event: Codable, Sendable {
        public var at: Instant
        public var kind: Kind
        public init(_ kind: Kind, at: Instant) {
            self.at = at
            self.kind = kind
        }

        public enum Kind: Codable, Sendable {
            /// What was closed when an earlier life of this agent ended; comes first.
            case closures([ClosedChannels.Closure])
            /// The ledger's records, in its order; before `.caughtUp` they are history.
            case order(OrderRecord)
            case report(OrderReport)
            /// Everything that was in the ledger at the start has been read.
            case caughtUp
            /// Time has passed: wanted about once a second while `needsTicks`.
            case tick
            // Results of effects.
            case appended(Appended)
            /// `probes`: what was seen of the target's gates, which are shut for this host still.
            case requirementsRead(OrderID, Answer<VMRequirements>, probes: [GateProbe] = [])
            /// `gateSeconds`: how long it took to open the gate for the source; `nil` if there was none to open.
            case targetChecked(OrderID, [PreflightFailure], sealingKey: String? = nil, gateSeconds: Double? = nil)
            case progressed(OrderID, MigrationProgress)
            case migrationEnded(OrderID, Answer<Completion>)
            case looked(OrderID, Sighting)
            case applied(OrderID, Remedy.Result)
            case cancelTried(OrderID)
            /// A failure's VM is at this host where it was not stopped or runs again.
            case sealed(OrderID, Answer<SealedImage>)
            /// The digest of the file, where the image is as the source says and lies open here.
            case unsealed(OrderID, Answer<String>)
            /// `failure`: `nil` where it is on this host's disk that the image was let go.
            case letGo(OrderID, failure: String?)
            case recalled(OrderID, Answer<Recollection>)
            /// What became of `restore` or `takeBack`: the instant from which the VM runs here.
            ///
            /// A failure that is not `.inDoubt`: it does not run here, and the image is as it was.
            case restored(OrderID, Answer<Instant>)
        }
    }

    /// What an effect brought: a value, or why there is none; a `Result` that can be recorded.
    public enum Answer<Value: Codable & Sendable>: Codable, Sendable {
        case success(Value)
        case failure(OrderFailure)

        public init(_ result: Result<Value, OrderFailure>) {
            switch result {
            case .success(let value): self = .success(value)
            case .failure(let failure): self = .failure(failure)
            }
        }
    }

    /// A move that succeeded, and the evidence of its path.
    public struct Completion: Codable, Sendable, Equatable {
        public var outcome: MigrationOutcome
        public var evidence: Evidence
        public init(outcome: MigrationOutcome, evidence: Evidence) {
            self.outcome = outcome
            self.evidence = evidence
        }
    }

    /// What became of a report that was to be written to the ledger.
    public enum Appended: Codable, Sendable, Equatable {
        case written
        /// It never can be written.
        case refused
        /// It may be written later, or may be there already.
        case failed
    }

    public enum Effect: Codable, Sendable, Equatable {
        /// Write to the ledger; one at a time, and `.appended` tells what became of it.
        case append(OrderReport)
        case readRequirements(MigrationOrder)
        /// `promisedBytes`: memory that this host has consented to give to other VMs that are not here yet.
        ///
        /// Where nothing is missing, the gate for the order's source is opened.
        case checkTarget(MigrationOrder, VMRequirements, promisedBytes: UInt64)
        /// Close the gate that `checkTarget` has opened for the order, if it is open; connections through it go on.
        case shut(MigrationOrder)
        case migrate(MigrationOrder, Preparation)
        case cancelMigration(MigrationOrder)
        /// See how the order's VM stands on source and target.
        case look(MigrationOrder)
        case apply(Remedy, MigrationOrder)
        /// Save the VM, and encrypt its image for the target's key onto the shared storage.
        case seal(MigrationOrder, key: String)
        /// Open the image here, with the key that `checkTarget` has made, and see that it is the one described.
        case unseal(MigrationOrder, SealedImage)
        /// Note on this host's disk that the image is let go: the source does not take the VM back any more.
        case release(MigrationOrder)
        /// Look up what an earlier life of this agent has noted of the order.
        case recall(MigrationOrder)
        /// Let the VM run here, from the image that was opened; that it is let run is noted before it is.
        case restore(MigrationOrder)
        /// See that the VM runs here, where it was saved: from its image, if it was stopped.
        case takeBack(MigrationOrder)
        /// Remove what is here of a sealed order that is over: its key, its image in the clear, the encrypted file.
        case forget(MigrationOrder)
        /// Tell the people who watch.
        case announce(Announcement)
    }
}
