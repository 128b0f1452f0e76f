// SPDX-License-Identifier: Apache-2.0
import Coordination
import HostOS
import Escort
import Fleet
import Ledger
import Logging
import Settings

/// Tasks that run whether there are orders or not: samples and the mesh.
extension AgentService {
    func keepSampling(_ events: AgentEvents) async {
        var sampler = HostSampler(host: host, resources: resources)
        let clock = ContinuousClock()
        let start = clock.now
        var next = start
        var isFirst = true
        var lastTunnels: ContinuousClock.Instant?
        while !Task.isCancelled {
            var sample = await sampler.sample(
                at: .now,
                uptime: clock.now - start,
                hypervisor: hypervisor
            )
            if let vms = sample.vms { events.offer(.known(vms.map(\.id))) }
            movability.complete(&sample)
            sample.channels = await channels.offered()
            if lastTunnels.map({ clock.now - $0 >= Self.tunnelsInterval }) ?? true {
                sample.tunnels = await tunnels()
                lastTunnels = clock.now
            }
            sample.takesNoOrdersBecause = stateFolder?.reason
            // The first reading yields no rates: it only starts the count.
            if !isFirst {
                var failure: String?
                do { try await ledger.append(sample) } catch { failure = "\(error)" }
                logger.log(
                    sampleWriting.take(failure),
                    "cannot write samples; they are lost",
                    ended: "samples are written again"
                )
            }
            isFirst = false
            next = max(next + settings.sampling.interval, clock.now)
            try? await clock.sleep(until: next)
        }
    }

    /// Returns the tunnels as charon reports them; failed ones first, because a sample has room for a limited number.
    private func tunnels() async -> [TunnelStatus]? {
        guard let all = try? await channels.mesh.meshStatus() else { return nil }
        return Array((all.filter { !$0.isUp } + all.filter(\.isUp)).prefix(Self.tunnelsPerSample))
    }

    func keepMesh() async {
        let configuring = LastingFailure()
        var losses = 0
        while !Task.isCancelled {
            var failure: String?
            do {
                try await channels.mesh.apply(await identity?.trusted(settings.inventory) ?? settings.inventory)
            } catch { failure = "\(error)" }
            if !Task.isCancelled {
                let change = configuring.take(failure)
                logger.log(change, "cannot configure the mesh", ended: "the mesh is configured again")
            }
            let nowLost = await channels.mesh.lossesOfGates
            if nowLost > losses {
                // `apply` has closed them again, or its error is logged above.
                logger.error(
                    "the gates of the migration ports were gone",
                    metadata: ["reason": "another program flushed nftables, for example its service when it restarted"]
                )
            }
            losses = nowLost
            await identity?.look(channels.mesh, inventory: settings.inventory)
            try? await Task.sleep(for: Self.upkeepInterval)
        }
    }
}
