// SPDX-License-Identifier: Apache-2.0
import HostOS
import Coordination
import Crypto
import Fleet
import Foundation
import Hypervisor
import Ledger
import Settings
import Synchronization

/// Executes the steps of sealed moves that `AgentCore` decides.
///
/// Each order has its own folder in memory, for the VM's image in the clear, and a file on the shared storage.
struct SealedMoves: Sendable {
    let host: HostName
    let settings: Settings
    let hypervisor: any Hypervisor
    let keys: SealedKeys
    let journal: OrderJournal?

    var storage: String { settings.migration.sealedStorage ?? "\(settings.ledger.folder)/sealed" }
    private var limit: Duration { settings.migration.timeLimit }

    func folder(_ order: MigrationOrder) throws -> String {
        "\(settings.migration.sealedFolder)/\(try SealedFormat.fileName(order.id))"
    }

    func file(_ order: MigrationOrder) throws -> SealedFile {
        SealedFile(path: "\(storage)/\(try SealedFormat.fileName(order.id))", order: order)
    }

    /// The definitions of the VMs that this host has saved, next to the journal.
    var definitions: KeptDefinitions? { journal.map { KeptDefinitions(folder: "\($0.path)-definitions") } }

    // MARK: the target

    /// Makes an order's key once it is certain that its image can be opened here.
    func prepare(for order: MigrationOrder, memoryBytes: UInt64) async throws -> String {
        let folder = try folder(order)
        guard try await !has(.started, of: order) else {
            throw SealingError("\(order.vmName) may already have run here under this order")
        }
        try await prepareFolders(folder, imageBytes: memoryBytes, isOpenedHere: true)
        return await keys.make(for: order.id)
    }

    /// Opens the image, and returns the digest of its file.
    func unseal(_ order: MigrationOrder, _ image: SealedImage) async -> Result<String, OrderFailure> {
        guard let key = await keys.key(for: order.id) else {
            return .failure(OrderFailure(.migration, .sealed(.noKeyHere), .notLooked))
        }
        do {
            let (file, folder) = (try file(order), try folder(order))
            let saved = try await Blocking.onStorage(within: limit, "opening \(file.path)") {
                try SealingFiles.requireMemory(folder, bytes: image.imageBytes)
                return try file.open(image, with: key, to: Self.image(of: order, in: folder))
            }
            await keys.keep(saved, for: order.id)
            // Opening has verified this digest.
            return .success(image.digest)
        } catch { return .failure(OrderFailure(.migration, .sealed(.failed(detail: "\(error)")), .notLooked)) }
    }

    func restore(_ order: MigrationOrder) async -> Result<Instant, OrderFailure> {
        guard let saved = await keys.take(order.id) else {
            return failure(.migration, .imageNotOpen)
        }
        return await restore(saved, .arrival, order)
    }

    // MARK: the source

    /// Records the release of the image; returns the reason if that is impossible.
    ///
    /// The VM must still be gone: an operator may have defined it again, and its disks are then newer than the image.
    func release(_ order: MigrationOrder) async -> String? {
        do {
            let presence = try await hypervisor.presence(of: order.vm)
            guard presence == .absent else {
                return FailureReason.Sealing.vmIs(presence, vm: order.vmName, host: host).text
            }
            try await record(.released, of: order)
            return nil
        } catch { return "\(error)" }
    }

    func seal(_ order: MigrationOrder, key: String) async -> Result<SealedImage, OrderFailure> {
        let key64 = Data(base64Encoded: key)
        guard let key = key64.flatMap({ try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: $0) }) else {
            let reason = FailureReason.Sealing.malformedKey(vm: order.vmName, source: host, target: order.target)
            return .failure(OrderFailure(.refused, .sealed(reason), .at(host)))
        }
        let (folder, file): (String, SealedFile)
        do {
            (folder, file) = (try self.folder(order), try self.file(order))
            // libvirt's save checks less than a live migration, and the source's checks are some time ago.
            let vm = try await SourceChecks(host: host, settings: settings, hypervisor: hypervisor).read(order.vm)
            guard vm.failures.isEmpty else {
                return .failure(OrderFailure(.refused, .preflight, .at(host), preflight: vm.failures))
            }
            try await prepareFolders(folder, imageBytes: vm.requirements.memoryBytes, isOpenedHere: false)
        } catch { return .failure(OrderFailure(.refused, .sealed(.failed(detail: "\(error)")), .at(host))) }
        let saved: SavedVM
        do {
            saved = try await hypervisor.save(order.vm, in: folder, timeLimit: limit) { [definitions] saved in
                guard let definition = saved.definition else { return }
                guard let definitions else { throw SealingError("this agent has no journal") }
                try definitions.keep(definition, of: order.id)
            }
        } catch {
            let reason = FailureReason.move(.hypervisor(detail: "\(error)"))
            return .failure(
                error.kind == .inDoubt
                    ? OrderFailure(.inDoubt, reason, .unknown) : OrderFailure(.migration, reason, .at(host))
            )
        }
        do {
            return .success(
                try await Blocking.onStorage(within: limit, "encrypting \(order.vmName)") {
                    try file.write(saved, for: key)
                }
            )
        } catch {
            return .failure(OrderFailure(.migration, .sealed(.notEncrypted(detail: "\(error)")), .unknown))
        }
    }

    // MARK: both

    /// Returns this host's journal entries for the order, and the state of its VM here.
    func recall(_ order: MigrationOrder) async -> Result<Recollection, OrderFailure> {
        do {
            return .success(
                Recollection(
                    hasBegun: try await has(.begun, of: order),
                    hasReleased: try await has(.released, of: order),
                    hasStarted: try await has(.started, of: order),
                    presence: try await hypervisor.presence(of: order.vm)
                )
            )
        } catch {
            let reason = FailureReason.Sealing.notRecalled(order.id, detail: "\(error)")
            return .failure(OrderFailure(.inDoubt, .sealed(reason), .unknown))
        }
    }

    private func has(_ step: OrderJournal.Step, of order: MigrationOrder) async throws -> Bool {
        try await requireJournal().contains(step, of: order)
    }

    func record(_ step: OrderJournal.Step, of order: MigrationOrder) async throws {
        _ = try await requireJournal().record(step, of: order)
    }

    private func requireJournal() throws -> OrderJournal {
        guard let journal else {
            throw SealingError("sealed moves need a journal, and this agent has none")
        }
        return journal
    }

    func restore(
        _ saved: SavedVM,
        _ restoration: Restoration,
        _ order: MigrationOrder
    ) async -> Result<Instant, OrderFailure> {
        let mayHaveRun = FailureReason.Sealing.mayHaveRun(vm: order.vmName)
        let journal: OrderJournal
        do {
            journal = try requireJournal()
            guard try await !has(.started, of: order) else { return failure(.inDoubt, mayHaveRun) }
        } catch {
            return failure(.inDoubt, .failed(detail: "\(error)"))
        }
        let entry = Mutex(StartEntry.notTried)
        do {
            let since = try await hypervisor.restore(saved, restoration, timeLimit: limit) {
                entry.withLock { $0 = .mayBeWritten }
                guard try journal.claim(.started, of: order, at: .now) else {
                    entry.withLock { $0 = .existed }
                    throw SealingError(mayHaveRun.text)
                }
            }
            return .success(since)
        } catch {
            guard error.kind != .inDoubt else { return failure(.inDoubt, .failed(detail: "\(error)")) }
            switch entry.withLock({ $0 }) {
            case .existed: return failure(.inDoubt, .failed(detail: "\(error)"))
            case .notTried: return failure(.migration, .failed(detail: "\(error)"))
            case .mayBeWritten: break
            }
            // The VM does not run, so it may be restored again.
            do { try await journal.erase(.started, of: order) } catch {
                return failure(.inDoubt, .failed(detail: "\(error)"))
            }
            return failure(.migration, .failed(detail: "\(error)"))
        }
    }

    /// The effect of an attempt to restore a VM on the journal entry `started`.
    private enum StartEntry {
        /// The attempt did not get that far.
        case notTried
        /// This attempt wrote it, or may have.
        case mayBeWritten
        /// The entry existed before, and this attempt must not remove it.
        case existed
    }

    /// Returns the failure of a restoration; if the VM certainly was not restored, its location was not checked.
    func failure(
        _ kind: OrderFailure.Kind,
        _ reason: FailureReason.Sealing
    ) -> Result<Instant, OrderFailure> {
        .failure(OrderFailure(kind, .sealed(reason), kind == .inDoubt ? .unknown : .notLooked))
    }
}
