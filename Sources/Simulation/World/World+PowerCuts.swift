// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// Power cuts that take definitions which libvirt has written, but which are not on the disk yet.
extension World {
    /// Time after which a file system writes data without a sync, in milliseconds.
    static let writeBack: Int64 = 30_000
    /// Time in which a source that goes on running alerts an operator: it waits 20 s for the target's confirmation.
    private static let alertTime: Int64 = 40_000

    /// Returns the VMs whose definitions a power cut takes now.
    func unsynced(on host: Int) -> Set<Int> {
        Set(hosts[host].unsynced.filter { now - $0.value < Self.writeBack }.keys)
    }

    /// Syncs the file system of the definitions, as an agent does before it confirms one and after it has set autostart.
    func sync(_ host: Int) { hosts[host].unsynced = [:] }

    /// Cuts the power at any time before and after the agent can have synced the definition.
    func cutPowerSoon(of host: Int) {
        queue.put(.sealed { $0.cutPower(of: host) }, at: now + 100 + Int64(operators.random.below(1900)))
    }

    func cutPower(of host: Int) {
        guard hosts[host].isUp else { return }
        note("\(hostNames[host]) loses power")
        crash(host, losesUnsynced: true)
        queue.put(.boot(host: host), at: now + settings.physics.bootTime.wholeMilliseconds)
    }

    func loseDefinition(of vm: Int, on host: Int) {
        let writtenAt = hosts[host].unsynced[vm] ?? now
        note("\(name(vm)): its definition on \(hostNames[host]) is lost")
        set(vm, on: host, nil)
        lostDefinitions[vm] = host
        guard let source = invariants.newestBegun(vmIDs[vm], on: hostNames[host], since: .min)?.source,
            let number = hostNumbers[source]
        else { return }
        let incarnation = agents[number].incarnation
        queue.put(
            .sealed { world in
                let isDefined = world.hosts.contains { $0.copy(of: vm) != nil } || world.keeper(of: vm) != nil
                // The next incarnation of its agent searches for the VM, and reports later that no host has it.
                guard !isDefined, world.agents[number].core != nil, world.agents[number].incarnation == incarnation
                else { return }
                world.invariants.mustBeAlerted(vm, since: writtenAt, name: world.name(vm), at: world.now)
            },
            at: now + Self.alertTime
        )
    }

    /// Notes an agent's alert that a VM's definition may be lost.
    func noteAlert(_ announcement: AgentCore.Announcement) {
        guard case .definitionNotConfirmed(let id, _, _) = announcement,
            let vm = invariants.asked[id].flatMap({ vmNumbers[$0.vm] })
        else { return }
        invariants.alerted(vm, at: now)
        // The VM may be off, too: the operator finds out.
        if lostDefinitions[vm] != nil { call(vm) }
    }
}
