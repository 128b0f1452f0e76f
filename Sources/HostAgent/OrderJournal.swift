// SPDX-License-Identifier: Apache-2.0
import Coordination
import HostOS
import Fleet
import Synchronization

/// This host's journal: the steps of each order that cannot be repeated or undone, in a local file.
///
/// The ledger has most of them, and its marks reveal a log that was rolled back. But a writer to the storage could
/// blank a line, and a host can crash between a step and its report. Entries whose order ended long ago are removed.
final class OrderJournal: Sendable {
    enum Step: String, Codable, CodingKeyRepresentable, CaseIterable {
        /// As the source: the move, or the save, was begun. As the target of a failed offline move: the definition that
        /// it left was removed.
        case begun
        /// As the source of a sealed move: the image was handed over.
        case released
        /// The VM of a sealed move was resumed from its image here, or was about to be.
        case started
        /// The order's VM was set to start with this host.
        case autostart

        /// Time for which an entry is kept after it was written, or after its order's latest beginning if that is later.
        ///
        /// A clock that was set back must not make an order new again, and a VM may wait long for its host. An operator
        /// may have changed a VM's autostart since it was set: its entry is kept for 31 days, longer than a restarted agent sets
        /// it.
        fileprivate var kept: Duration {
            switch self {
            case .begun: .seconds(86400)
            case .autostart: .seconds(31 * 86400)
            case .released, .started: .seconds(90 * 86400)
            }
        }
    }

    typealias Entries = [Step: [String: Instant]]

    private let file: StateFile<Entries>
    /// The entries as last read or written; locked for as long as a write takes.
    let entries = Mutex<Entries?>(nil)

    init(path: String) { file = StateFile(path: path) }

    var path: String { file.path }

    /// Throws why no step can be recorded now: the journal is damaged, or its folder cannot be written.
    ///
    /// Writes a probe of the journal's size beside it, and removes it. Blocks like `claim`.
    func checkWritable() throws {
        let known: Entries? = try entries.withLockIfAvailable { known in
            let entries = try known ?? read()
            known = entries
            return entries
        }
        let probe = StateFile<Entries>(path: "\(path).probe")
        try probe.replace(known ?? [:])
        probe.remove()
    }

    /// Writes a journal entry once and returns when it is on the disk; false if it existed before.
    ///
    /// Old entries are removed by the earlier of this host's time and the order's: after a power cut the clock can be far
    /// ahead, and an order whose entry it removed could begin again. An order's time is its issuer's, which signed it.
    ///
    /// Blocks for a write and two syncs. Throws the file system's error: then the step must not be taken.
    func claim(_ step: Step, of order: MigrationOrder, at now: Instant) throws -> Bool {
        try change { entries in
            guard entries[step]?[order.id.rawValue] == nil else { return false }
            let proven = min(now, order.issuedAt)
            entries = entries.mapValues { $0.filter { $0.value > proven } }
            entries[step, default: [:]][order.id.rawValue] = max(now, order.latestBeginning) + step.kept
            return true
        }
    }

    /// Removes an entry whose step certainly did not happen.
    func strike(_ step: Step, of order: MigrationOrder) throws {
        _ = try change { $0[step]?.removeValue(forKey: order.id.rawValue) != nil }
    }

    enum Entry {
        case present, none
        /// The journal is being written or read; ask again.
        case busy
    }

    /// Whether the entry exists.
    func entry(_ step: Step, of order: MigrationOrder) throws -> Entry {
        let entry: Entry? = try entries.withLockIfAvailable { known in
            let entries = try known ?? read()
            known = entries
            return entries[step]?[order.id.rawValue] != nil ? .present : .none
        }
        return entry ?? .busy
    }

    /// Returns the orders with this entry; blocks.
    func orders(with step: Step) throws -> [OrderID] {
        let entries = try entries.withLock { known in
            let entries = try known ?? read()
            known = entries
            return entries
        }
        return (entries[step] ?? [:]).keys.sorted().map { OrderID($0) }
    }

    /// Writes the entries that the body returns, if it reports a change.
    private func change(_ body: (inout Entries) -> Bool) throws -> Bool {
        try entries.withLock { known in
            var entries = try known ?? read()
            let before = entries
            guard body(&entries) else {
                known = before
                return false
            }
            // If writing fails halfway, the file is read again.
            known = nil
            try file.replace(entries)
            known = entries
            return true
        }
    }

    private func read() throws -> Entries {
        do { return try file.read() ?? [:] } catch {
            guard case .damaged = error else { throw error }
            throw OrderJournalError(path: file.path, reason: error.reason)
        }
    }
}

/// The journal exists and cannot be read.
struct OrderJournalError: Error, CustomStringConvertible {
    var path: String
    var reason: String

    var description: String {
        "\(path) is damaged (\(reason)): this host's steps of its orders are unknown. With the agent stopped, "
            + "cancel the orders that must not begin again ('evenkeel cancel'), check that VMs of sealed moves run on "
            + "one host, remove the file, and start the agent"
    }
}

/// The calls of the agent, which have a time limit: the disk may hang.
extension OrderJournal {
    /// Writes an entry dated now, as `claim` does.
    func record(_ step: Step, of order: MigrationOrder) async throws -> Bool {
        try await Blocking.onStorage(within: .hangLimit, "writing a journal entry") {
            try self.claim(step, of: order, at: .now)
        }
    }

    /// Removes an entry, as `strike` does.
    func erase(_ step: Step, of order: MigrationOrder) async throws {
        try await Blocking.onStorage(within: .hangLimit, "removing a journal entry") {
            try self.strike(step, of: order)
        }
    }

    /// Returns whether the entry exists; waits while the journal is being written.
    func contains(_ step: Step, of order: MigrationOrder) async throws -> Bool {
        let what = "reading the journal entries of order \(order.id)"
        let (limit, clock) = (Duration.seconds(10), ContinuousClock())
        let deadline = clock.now + limit
        while true {
            // Even at the deadline, reading takes a moment.
            let left = max(.seconds(1), deadline - clock.now)
            switch try await Blocking.onStorage(within: left, what, { try self.entry(step, of: order) }) {
            case .present: return true
            case .none: return false
            case .busy: break
            }
            // Polls: no thread may wait for the one that writes, because that one may hang for long.
            guard clock.now < deadline else { throw SealingError(late: what, limit) }
            do { try await Task.sleep(for: .milliseconds(50)) } catch {
                throw SealingError("\(what) was cancelled because the agent is stopping")
            }
        }
    }
}
