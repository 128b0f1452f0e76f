// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS
import Hypervisor
import Logging
import Synchronization

/// Why VMs of this host cannot move: the newest answers of the source's checks, for the samples.
///
/// The checks run in parallel with the sampling, and a sample waits for none of them. A check that fails or takes long
/// leaves the last answer for ten minutes.
final class Movability: Sendable {
    private struct Entry {
        var definition: String?
        var answer: CannotMove?
        var answeredAt: ContinuousClock.Instant?
        /// When the next check is due.
        var due: ContinuousClock.Instant
    }

    private struct State {
        var entries: [VMID: Entry] = [:]
        /// Whether the hypervisor answered for the newest sample.
        ///
        /// If it did not, each check could hang, too.
        var isAnswering = false
    }

    private let checks: SourceChecks
    private let logger: Logger
    private let state = Mutex(State())

    /// How often snapshots and block jobs, which no digest shows, are looked for.
    private static let interval: Duration = .seconds(60)
    /// How long an answer counts that cannot be renewed: its cause may be gone, and the source checks each order anyway.
    private static let lifetime: Duration = .seconds(600)
    /// Checks at the same time: a VM whose QEMU does not answer must not delay those of the others.
    private static let width = 4

    init(_ checks: SourceChecks, logger: Logger) {
        var checks = checks
        checks.slots = Blocking.sampledDiskSlots
        self.checks = checks
        self.logger = logger
    }

    /// Adds the known answers to a sample, and notes which of its VMs are to be checked.
    ///
    /// A VM that is new, or whose definition has changed, is checked at once.
    func complete(_ sample: inout LoadSample) {
        let vms = sample.vms
        let now = ContinuousClock.now
        state.withLock { state in
            state.isAnswering = vms != nil
            guard let vms else { return }
            var kept: [VMID: Entry] = [:]
            for (index, vm) in vms.enumerated() where vm.state == .running {
                var entry = state.entries[vm.id] ?? Entry(definition: vm.definition, due: now)
                if let definition = vm.definition, definition != entry.definition {
                    entry.definition = definition
                    entry.due = now
                }
                if let at = entry.answeredAt, now - at > Self.lifetime { entry.answer = nil }
                kept[vm.id] = entry
                sample.vms?[index].cannotMove = entry.answer
            }
            state.entries = kept
        }
    }

    /// Checks a VM of this host again at once, such as after a refused move.
    func recheck(_ vm: VMID) {
        state.withLock { $0.entries[vm]?.due = .now }
    }

    /// Checks the VMs that are due each second, until cancelled.
    func keep() async {
        while !Task.isCancelled {
            await checkDue()
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Checks the VMs that are due, those that have waited longest first.
    func checkDue() async {
        let now = ContinuousClock.now
        let due = state.withLock { state in
            (state.isAnswering ? state.entries : [:]).filter { $0.value.due <= now }
                .sorted { ($0.value.due, $0.key) < ($1.value.due, $1.key) }.map(\.key)
        }
        await withTaskGroup(of: Void.self) { group in
            for (number, vm) in due.enumerated() {
                if number >= Self.width { await group.next() }
                group.addTask { await self.check(vm) }
            }
        }
    }

    private func check(_ vm: VMID) async {
        let begun = ContinuousClock.now
        var answer: SourceChecks.Answer?
        do { answer = try await checks.read(vm) } catch {
            logger.debug("cannot check whether VM \(vm) can move", metadata: ["reason": "\(error)"])
        }
        state.withLock { state in
            guard var entry = state.entries[vm] else { return }
            if let answer, answer.isComplete || !answer.failures.isEmpty {
                entry.answer = CannotMove(answer.failures.map(\.reason))
                entry.answeredAt = .now
            }
            // If its definition has changed meanwhile, it is due again.
            if entry.due <= begun { entry.due = .now + Self.interval }
            state.entries[vm] = entry
        }
    }
}
