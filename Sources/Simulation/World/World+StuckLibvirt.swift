// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// A libvirtd that is stuck but alive: calls get no answer, although VMs run and QEMU sends memory.
extension World {
    func isStuck(_ host: Int) -> Bool { activeFaults.values.contains(.libvirtStuck(host: host)) }

    /// Returns whether the host's hypervisor carries out calls now.
    func answers(_ host: Int) -> Bool { hosts[host].libvirtIsUp && !isStuck(host) }

    /// Returns whether the host's hypervisor has carried out all calls that waited while it was stuck.
    ///
    /// An operator's call comes after them.
    func answersOperator(_ host: Int) -> Bool { answers(host) && stuckCalls[host, default: 0] == 0 }

    /// Time after which an agent gives a call up, in milliseconds, as `LibvirtHypervisor.Limits.call`.
    static let callLimit: Int64 = 35_000
    /// How often a call is tried while libvirtd is stuck, in milliseconds.
    static let stuckPoll: Int64 = 500

    /// Makes an agent's call, which waits while libvirtd is stuck.
    ///
    /// `call` runs when libvirtd answers, or when the agent gives up (`isGivenUp`). A call that changes something is carried
    /// out late even then, with `isGivenUp` again. Nothing happens once the agent has ended. `limit`: `nil` for a move,
    /// which has limits of its own.
    func makeCall(
        on host: Int,
        limit: Int64? = callLimit,
        isCarriedOutLate: Bool = false,
        _ call: @escaping (World, _ isGivenUp: Bool) -> Void
    ) {
        guard isStuck(host) else { return call(self, false) }
        stuckCalls[host, default: 0] += 1
        wait(
            StuckCall(
                host: host,
                incarnation: agents[host].incarnation,
                deadline: limit.map { now + $0 },
                isCarriedOutLate: isCarriedOutLate,
                call: call
            )
        )
    }

    /// Carries out a call of a sealed move: at once, or when libvirtd is no longer stuck, if the agent still waits for it.
    func unlessStuck(_ host: Int, _ call: @escaping (World) -> Void) {
        makeCall(on: host, limit: nil) { world, _ in call(world) }
    }

    private func wait(_ waiting: StuckCall) {
        queue.put(
            .sealed { world in
                let agent = world.agents[waiting.host]
                guard agent.core != nil, agent.incarnation == waiting.incarnation else {
                    world.stuckCalls[waiting.host, default: 1] -= 1
                    return
                }
                guard world.isStuck(waiting.host) else {
                    world.stuckCalls[waiting.host, default: 1] -= 1
                    if waiting.isGivenUp, !world.hosts[waiting.host].libvirtIsUp { return }
                    return waiting.call(world, waiting.isGivenUp)
                }
                var waiting = waiting
                if !waiting.isGivenUp, let deadline = waiting.deadline, world.now >= deadline {
                    waiting.isGivenUp = true
                    waiting.call(world, true)
                    guard waiting.isCarriedOutLate else {
                        world.stuckCalls[waiting.host, default: 1] -= 1
                        return
                    }
                }
                world.wait(waiting)
            },
            at: now + Self.stuckPoll
        )
    }
}

/// A call that waits for a stuck libvirtd.
private struct StuckCall {
    let host: Int
    let incarnation: Int
    let deadline: Int64?
    let isCarriedOutLate: Bool
    let call: (World, Bool) -> Void
    var isGivenUp = false
}
