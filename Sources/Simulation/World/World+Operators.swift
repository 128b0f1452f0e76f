// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// What operators do beside the agents.
struct OperatorState {
    /// VMs that an operator has shut off or paused, by fault.
    var takenOff: [Int: (vm: Int, host: Int)] = [:]
    /// VMs of which libvirt may start a second copy when a host boots: an operator has started a copy, or their autostart could
    /// not be turned off on a full disk.
    var excusedAtBoot: Set<Int> = []
    /// Failed orders to hosts that never return, whose searches an operator has ended.
    var endedSearches: Set<OrderID> = []
    /// Separate random numbers, to leave runs without these faults unchanged.
    var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed ^ 0x09e4) }
}

/// Operators who stop, pause, start and resume VMs without regard to moves.
extension World {
    private static let retry: Int64 = 5000

    /// Shuts off or pauses a VM of the host, to be brought back at the end of the fault.
    func takeOff(_ fault: Int, on host: Int, to state: DomainPresence) {
        guard hosts[host].isUp, answers(host) else { return }
        let running = hosts[host].copies.filter {
            $0.executes && invariants.runners[$0.vm] == 1 && !isOnItsWaySealed($0.vm) && !invariants.isOff($0.vm)
        }
        let moving = running.filter { $0.state == .migratingOut }
        // A VM that is moving cannot be paused for long: its move goes on.
        let choice = state == .paused ? running.filter { $0.state == .running } : moving.isEmpty ? running : moving
        guard !choice.isEmpty else { return }
        let vm = choice[operators.random.below(choice.count)].vm
        note("\(name(vm)): an operator \(state == .paused ? "pauses" : "stops") it on \(hostNames[host])")
        for number in migrations.values.filter({ $0.vm == vm && $0.source == host }).map(\.number).sorted() {
            abort(number, "the VM was shut off")
        }
        operators.takenOff[fault] = (vm, host)
        invariants.takenOff(vm)
        set(vm, on: host, state)
    }

    /// Starts or resumes the VM again, once its host is up, unless it has run since.
    func bringBack(_ fault: Int) {
        guard let (vm, host) = operators.takenOff[fault] else { return }
        let runs = (invariants.runners[vm] ?? 0) > 0
        let copy = hosts[host].copy(of: vm)
        guard !runs, !isGone(host) else { return endTakenOff(fault, vm) }
        guard answers(host), !migrations.values.contains(where: { $0.vm == vm }) else {
            queue.put(.sealed { $0.bringBack(fault) }, at: now + Self.retry)
            return
        }
        switch copy?.state {
        case .inactive, .paused:
            note("\(name(vm)): an operator starts it again on \(hostNames[host])")
            set(vm, on: host, .running)
        default: call(vm)
        }
        endTakenOff(fault, vm)
    }

    private func endTakenOff(_ fault: Int, _ vm: Int) {
        operators.takenOff[fault] = nil
        invariants.returned(vm)
    }

    /// Starts a VM that has left the host, and that runs elsewhere, from a definition that the operator has kept.
    func startCopy(on host: Int) {
        guard hosts[host].isUp, answers(host) else { return }
        let choice = vmIDs.indices.filter { vm in
            let here = hosts[host].copy(of: vm)?.state
            return invariants.runners[vm] == 1 && (here == nil || here == .inactive) && hasLeft(vm, host)
        }
        guard !choice.isEmpty else { return }
        let vm = choice[operators.random.below(choice.count)]
        note("\(name(vm)): an operator starts it on \(hostNames[host]), too")
        invariants.startedTwice(vm)
        operators.excusedAtBoot.insert(vm)
        set(vm, on: host, .running)
    }

    /// Returns whether the host's agent knows that the VM has left it with the newest move of the two.
    ///
    /// Only then the agents can tell which copy is the wrong one.
    private func hasLeft(_ vm: Int, _ host: Int) -> Bool {
        let name = hostNames[host]
        guard let order = invariants.newestBegun(vmIDs[vm], on: name, since: now - Self.remembered) else {
            return false
        }
        return order.source == name && order.channel != .sealed && agents[host].core?.orders[order.id]?.stage == .done
    }

    /// Age up to which an order of a move is in the ledger until the faults have ended, in milliseconds.
    private static let remembered: Int64 = 120_000

    /// Resumes the copies that moves have left paused, of VMs that run nowhere.
    func resumeCopies(on host: Int) {
        guard hosts[host].isUp, answers(host), settings.policy.channels != [.sealed] else { return }
        for copy in hosts[host].copies where copy.state == .pausedByMigration && !copy.isIncoming {
            let isMoving = migrations.values.contains { $0.vm == copy.vm }
            guard !isMoving, (invariants.runners[copy.vm] ?? 0) == 0 else { continue }
            note("\(name(copy.vm)): an operator resumes it on \(hostNames[host])")
            set(copy.vm, on: host, .running)
        }
    }

    /// Returns the memory in use without the copies that operators have started.
    func ownMemoryInUse(of host: Int) -> UInt64 {
        let more = hosts[host].copies.filter { $0.takesMemory && invariants.isStartedTwice($0.vm) }
        return hosts[host].memoryInUse(memory) - more.reduce(0) { $0 + memory[$1.vm] }
    }
}
