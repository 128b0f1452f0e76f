// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Limits, events and effects of the core.
extension AgentCore {
    public struct Limits: Codable, Sendable, Equatable {
        /// How long the source waits for the target's consent.
        public var consent: Duration
        /// Minimum time between two progress reports in the ledger.
        public var progressInterval: Duration
        /// Maximum duration of a migration; applied to those that an earlier incarnation of the agent began.
        public var migration: Duration
        /// How long a VM's place may stay undetermined before the operator receives an alert.
        public var doubt: Duration
        /// How long after an order's latest start its target waits for a report of its source.
        public var silence: Duration
        /// How long a hypervisor may still begin an operation that an earlier incarnation of this agent requested.
        ///
        /// libvirt's QEMU driver waits 30 s for a VM's job lock.
        public var jobLock: Duration
        /// How long the other host of a sealed move may be silent, in addition to the transfer time of its image.
        public var handover: Duration
        /// How long a host may take to answer a question about a VM before it counts as silent.
        public var answer: Duration
        /// How long a host that has a VM may take to object before another host resumes its copy.
        public var veto: Duration
        public init(
            consent: Duration = .seconds(30),
            progressInterval: Duration = .seconds(2),
            migration: Duration = .seconds(3600),
            doubt: Duration = .seconds(600),
            silence: Duration = .seconds(300),
            jobLock: Duration = .seconds(35),
            handover: Duration = .seconds(60),
            answer: Duration = .seconds(15),
            veto: Duration = .seconds(3)
        ) {
            self.consent = consent
            self.progressInterval = progressInterval
            self.migration = migration
            self.doubt = doubt
            self.silence = silence
            self.jobLock = jobLock
            self.handover = handover
            self.answer = answer
            self.veto = veto
        }
    }

    /// An input of the core, with its time.
    public struct Event: Codable, Sendable {
        public var at: Instant
        /// The same moment by a clock that never jumps; `nil` in older recordings.
        public var uptime: Duration?
        public var kind: Kind
        public init(_ kind: Kind, at: Instant, uptime: Duration? = nil) {
            self.at = at
            self.uptime = uptime
            self.kind = kind
        }

        public enum Kind: Codable, Sendable {
            /// The closures at the end of the previous incarnation; the first event.
            case closures([ClosedChannels.Closure])
            /// The orders that earlier incarnations have begun, from this host's journal; before any record, or later if the
            /// journal could not be read then.
            case begun([OrderID])
            /// Records in the order of the ledger; before `.caughtUp` they are history.
            case order(OrderRecord)
            case report(OrderReport)
            /// All records that the ledger had at the start have been read.
            case caughtUp
            /// The VMs that this host's hypervisor knows, running or not; with each sample.
            case known([VMID])
            /// Time has passed: required about once a second while `needsTicks`.
            case tick
            // Results of effects.
            case appended(Appended)
            /// `probes`: results for the target's gates, which must still be closed for this host.
            case requirementsRead(OrderID, Answer<VMRequirements>, probes: [GateProbe] = [])
            /// `gateSeconds`: how long it took to open the gate for the source; `nil` if there was none to open.
            case targetChecked(OrderID, [PreflightFailure], sealingKey: String? = nil, gateSeconds: Double? = nil)
            case progressed(OrderID, MigrationProgress)
            case migrationEnded(OrderID, Answer<Completion>)
            case looked(OrderID, CopyObservation)
            /// Result of `locate` or `confirm`; `isPersistent`: whether the VM has a definition here, `nil` if it is absent, and
            /// in older recordings.
            case located(OrderID, CopyObservation, isPersistent: Bool? = nil)
            /// Result of `startWithHost`; `failure` is `nil` if the VM starts with this host now, or is not here.
            case autostartSet(OrderID, failure: String?)
            case applied(OrderID, CopyAction.Result)
            case cancelTried(OrderID)
            /// Result of `seal`.
            ///
            /// If a failure's whereabouts name this host, the VM was not stopped, or it runs here again.
            case sealed(OrderID, Answer<SealedImage>)
            /// Result of `unseal`: the digest of the file, if the image matches the source's report and was decrypted
            /// here.
            case unsealed(OrderID, Answer<String>)
            /// Result of `release`; `failure` is `nil` if the VM is off and the journal entry is on this host's disk.
            case letGo(OrderID, failure: String?)
            case recalled(OrderID, Answer<Recollection>)
            /// Result of `restore` or `takeBack`: the instant from which the VM runs here.
            ///
            /// After a failure other than `.inDoubt` the VM does not run here, and the image is unchanged.
            case restored(OrderID, Answer<Instant>)
        }
    }

    /// The result of an effect, a value or a failure, as a `Codable` type that a recording can hold.
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

    /// The result of writing a report to the ledger.
    public enum Appended: Codable, Sendable, Equatable {
        case written
        /// The ledger has the report, but this host has no durable mark of it: after a restart, a ledger that was rolled
        /// back could hide it.
        case unmarked
        /// The report can never be written.
        case refused
        /// A later attempt may succeed, or the ledger may have the report already.
        case failed
    }

    public enum Effect: Codable, Sendable, Equatable {
        /// Write to the ledger, one report at a time; `.appended` returns the result.
        case append(OrderReport)
        case readRequirements(MigrationOrder)
        /// `promisedBytes`: memory promised to VMs of other orders that have not arrived yet.
        ///
        /// If no requirement is missing, the gate for the order's source is opened.
        case checkTarget(MigrationOrder, VMRequirements, promisedBytes: UInt64)
        /// Close the order's gate that `checkTarget` opened, if it is open; its connections continue.
        case shut(MigrationOrder)
        case migrate(MigrationOrder, Preparation)
        case cancelMigration(MigrationOrder)
        /// Check the state of the order's VM on this host.
        case look(MigrationOrder)
        /// Set the order's VM to start with this host, once for each order.
        case startWithHost(MigrationOrder)
        /// Check the state of a VM on this host, to answer a question about this order.
        case locate(OrderID, VMID)
        /// Make the definition of the order's VM on this host durable, then check its state; `.located` returns it, or that
        /// this failed.
        case confirm(OrderID, VMID)
        case apply(CopyAction, MigrationOrder)
        /// Save the VM, and encrypt its image for the target's key onto the shared storage.
        case seal(MigrationOrder, key: String)
        /// Decrypt the image here with the key that `checkTarget` made, and verify that it is the one described.
        case unseal(MigrationOrder, SealedImage)
        /// If the VM is still off here, write the journal entry that the image is released: the source no longer takes
        /// the VM back.
        case release(MigrationOrder)
        /// Read the order's journal entries of earlier incarnations.
        case recall(MigrationOrder)
        /// Start the VM here from the decrypted image, after its journal entry is written.
        case restore(MigrationOrder)
        /// Ensure that the VM runs here, where it was saved: from its image, if it was stopped.
        ///
        /// If its image was lost because the host was down, and it starts with the host, it is started from its disks.
        case takeBack(MigrationOrder, startsWithHost: Bool)
        /// Remove the leftovers of a finished sealed order: its key, its decrypted image, the encrypted file.
        ///
        /// `belongsHere`: the order ended with the VM on this host, its source. If the hypervisor does not know the VM, the
        /// kept definition may be the only one, and stays. `nil` in older recordings.
        case forget(MigrationOrder, belongsHere: Bool? = nil)
        /// Raise an alert.
        case announce(Announcement)
    }
}
