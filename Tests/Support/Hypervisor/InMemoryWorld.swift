// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import Hypervisor
internal import Synchronization

/// Several hosts and their VMs in memory, for tests of code that controls a hypervisor.
///
/// Like real hypervisors, it moves a VM only from where it runs, once at a time, to a host with room. An order that
/// would duplicate or lose a VM is refused and recorded in `violations`.
public final class InMemoryWorld: Sendable {
    /// A host's copy of a VM.
    struct Copy {
        var needs: VMRequirements
        var presence: DomainPresence
        var isTransient = false
        var startsWithHost = false
        var cpuTimeNanoseconds: UInt64 = 0
    }

    /// A migration under way.
    struct Move {
        var source: HostName
        var target: HostName
        var signal: Signal?
        var waiter: CheckedContinuation<Signal, Never>?
    }

    /// The end of the wait of a migration that hangs.
    enum Signal: Sendable {
        case release
        case cancel
        case timeUp
    }

    struct State {
        var hosts: [HostName: InMemoryHost] = [:]
        var copies: [HostName: [VMID: Copy]] = [:]
        var moves: [VMID: Move] = [:]
        var scripts: [VMID: InMemoryScript] = [:]
        var turns: [VMID: InMemoryTurn] = [:]
        /// What the VMs of images need, also without a definition.
        var saved: [VMID: VMRequirements] = [:]
        /// The number of the only image of a saved VM that is as new as its disks.
        var images: [VMID: Int] = [:]
        var imagesMade = 0
        var violations: [String] = []
    }

    let state: Mutex<State>
    let now: @Sendable () -> Instant

    /// Creates a world of these hosts; `now` returns the instants in outcomes.
    public init(hosts: [InMemoryHost], now: @Sendable @escaping () -> Instant = { Instant(milliseconds: 0) }) {
        var state = State()
        for host in hosts {
            state.hosts[host.name] = host
            state.copies[host.name] = [:]
        }
        self.state = Mutex(state)
        self.now = now
    }

    /// Returns the hypervisor of one host for its agent.
    public func hypervisor(of host: HostName) -> InMemoryHypervisor { InMemoryHypervisor(world: self, host: host) }

    /// Starts a VM on a host, or puts it there in another state; `.absent` removes it.
    ///
    /// A transient VM has no definition and disappears when it is shut off.
    public func place(
        _ vm: VMRequirements,
        on host: HostName,
        as presence: DomainPresence = .running,
        isTransient: Bool = false
    ) {
        let isKnown = presence != .absent && !(isTransient && presence == .inactive)
        var copy = isKnown ? Copy(needs: vm, presence: presence, isTransient: isTransient) : nil
        copy?.startsWithHost = vm.startsWithHost == true
        state.withLock { state in
            state.copies[host, default: [:]][vm.id] = copy
            // It runs, so earlier images are older than its disks.
            if presence.executes { state.images[vm.id] = nil }
        }
    }

    /// Sets the course of the next migration of the VM.
    public func script(_ vm: VMID, _ script: InMemoryScript) { state.withLock { $0.scripts[vm] = script } }

    /// Sets the course of the next save or restore of the VM.
    public func script(_ vm: VMID, _ turn: InMemoryTurn) { state.withLock { $0.turns[vm] = turn } }

    /// Changes a host, for instance to make its hypervisor stop answering.
    public func change(_ host: HostName, _ change: (inout InMemoryHost) -> Void) {
        state.withLock {
            guard var changed = $0.hosts[host] else { return }
            change(&changed)
            $0.hosts[host] = changed
        }
    }

    /// Sets the CPU time that a VM has used, in nanoseconds.
    public func setCPUTime(_ nanoseconds: UInt64, of vm: VMID) {
        state.withLock { state in
            for host in state.copies.keys { state.copies[host]?[vm]?.cpuTimeNanoseconds = nanoseconds }
        }
    }

    /// Lets a migration that hangs continue to its end.
    public func release(_ vm: VMID) { signal(vm, .release) }

    /// Ends a migration that continues after its caller lost the connection.
    public func end(_ vm: VMID, arrived: Bool) {
        state.withLock { state in
            guard let move = state.moves.removeValue(forKey: vm) else { return }
            state.settle(vm, move, arrived ? .arrived : .stayed)
        }
    }

    /// Returns the hosts on which the VM runs: always exactly one, except during a hand-over.
    public func hostsRunning(_ vm: VMID) -> [HostName] {
        state.withLock { state in
            state.copies.filter { _, copies in copies[vm].map { $0.presence.executes } ?? false }.keys.sorted()
        }
    }

    /// Returns the hosts that start the VM when they boot.
    public func hostsStarting(_ vm: VMID) -> [HostName] {
        state.withLock { state in
            state.copies.filter { $0.value[vm]?.startsWithHost == true }.keys.sorted()
        }
    }

    /// Returns whether another host has taken the VM: it runs there, or was paused there by its owner.
    func isTaken(_ vm: VMID, elsewhereThan host: HostName) -> Bool {
        state.withLock { state in
            state.copies.contains { other, copies in
                other != host && copies[vm].map { $0.presence.executes || $0.presence == .paused } ?? false
            }
        }
    }

    /// Returns whether another host has only the VM's definition.
    func isOff(_ vm: VMID, elsewhereThan host: HostName) -> Bool {
        state.withLock { $0.copies.contains { $0 != host && $1[vm]?.presence == .inactive } }
    }

    /// Returns the hosts that have the VM's definition, whether it runs there or not.
    public func hostsDefining(_ vm: VMID) -> [HostName] {
        state.withLock { state in
            state.copies.filter { $0.value[vm].map { !$0.isTransient } ?? false }.keys.sorted()
        }
    }

    /// Returns the hosts on which the VM runs or is shut off.
    func hostsThatRunOrRan(_ vm: VMID) -> [HostName] {
        state.withLock { state in
            state.copies.filter { _, copies in
                copies[vm].map { $0.presence.executes || $0.presence == .inactive } ?? false
            }.keys.sorted()
        }
    }

    /// Returns whether a migration of the VM is under way.
    public func isMoving(_ vm: VMID) -> Bool { state.withLock { $0.moves[vm] != nil } }

    /// Refused orders that would have duplicated or lost a VM.
    public var violations: [String] { state.withLock { $0.violations } }

    func signal(_ vm: VMID, _ signal: Signal) {
        let waiter = state.withLock { state -> CheckedContinuation<Signal, Never>? in
            guard var move = state.moves[vm] else { return nil }
            let waiter = move.waiter
            move.signal = move.signal ?? signal
            move.waiter = nil
            state.moves[vm] = move
            return waiter
        }
        waiter?.resume(returning: signal)
    }
}

extension InMemoryWorld.State {
    /// Returns the memory of all active VMs on the host, including incoming ones, in bytes.
    func memoryTaken(on host: HostName) -> UInt64 {
        (copies[host] ?? [:]).values.filter { $0.presence != .inactive }.reduce(0) { $0 + $1.needs.memoryBytes }
    }

    /// Puts both hosts into the state after a migration with this result.
    mutating func settle(_ vm: VMID, _ move: InMemoryWorld.Move, _ aftermath: InMemoryScript.Aftermath) {
        switch aftermath {
        case .stayed:
            copies[move.source]?[vm]?.presence = .running
            copies[move.target]?[vm] = nil
        case .arrived:
            copies[move.source]?[vm] = nil
            copies[move.target]?[vm]?.presence = .running
        case .handedOver:
            copies[move.source]?[vm]?.presence = .pausedByMigration
            copies[move.target]?[vm]?.presence = .running
        case .shutOffAtTarget:
            copies[move.source]?[vm]?.presence = .pausedByMigration
            let isTransient = copies[move.target]?[vm]?.isTransient ?? false
            if isTransient { copies[move.target]?[vm] = nil } else { copies[move.target]?[vm]?.presence = .inactive }
        case .pausedAtSource:
            copies[move.source]?[vm]?.presence = .pausedByMigration
            copies[move.target]?[vm] = nil
        case .startedAtSource:
            copies[move.source]?[vm]?.presence = .running
            copies[move.target]?[vm]?.presence = .inactive
        case .goesOn:
            moves[vm] = move
        }
    }
}

extension DomainPresence {
    /// Whether the VM executes there.
    var executes: Bool { self == .running || self == .migratingOut }
}
