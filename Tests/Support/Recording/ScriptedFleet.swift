// SPDX-License-Identifier: Apache-2.0
package import Coordination
package import Fleet

/// Four hosts whose load changes at random and that execute a controller's orders, to produce a recording.
package struct ScriptedFleet {
    private struct Guest {
        var name: String
        var host: Int
        var cores: Double
    }

    private var random: SplitMix64
    private var guests: [Guest]
    private var orders: [MigrationOrder] = []
    private static let hosts = (1...4).map { HostName("h\($0)") }

    /// Creates a fleet with all VMs on the first host, which is overloaded.
    package init(seed: UInt64, vms: Int = 10) {
        random = SplitMix64(seed: seed)
        guests = (1...vms).map { Guest(name: "vm\($0)", host: 0, cores: 5 / Double(vms)) }
    }

    /// Drives a controller for a number of rounds of 5 s.
    package mutating func drive(_ core: inout some Core<ControllerCore.Event, ControllerCore.Effect>, rounds: Int) {
        _ = core.handle(.caughtUp(at: .second(0)))
        for round in 1...rounds {
            let now = Instant.second(round * 5)
            report(to: &core, at: now)
            for host in Self.hosts.indices { _ = core.handle(.sample(sample(of: host, at: now), at: now)) }
            if random.below(20) == 0 {
                _ = core.handle(.ledgerLost)
                _ = core.handle(.tick(at: now, identifier: "lost\(round)"))
                _ = core.handle(.caughtUp(at: now))
            }
            for effect in core.handle(.tick(at: now, identifier: "d\(round)")) {
                guard let order = effect.order else { continue }
                let isWritten = random.below(8) > 0
                _ = core.handle(.submitted(order.id, isWritten ? .written : .failed))
                guard isWritten else { continue }
                _ = core.handle(.order(.migrate(order: order)))
                orders.append(order)
            }
            for guest in guests.indices where random.below(10) == 0 {
                guests[guest].cores = Double(random.below(90)) / 100
            }
        }
    }

    /// Ends the orders of the last round: most succeed, some fail.
    private mutating func report(
        to core: inout some Core<ControllerCore.Event, ControllerCore.Effect>,
        at now: Instant
    ) {
        for order in orders {
            var steps: [OrderStep] = [.running(progress: .begun)]
            if random.below(4) == 0 {
                let failure = OrderFailure(.migration, .other("the target was full"), .at(order.source))
                steps.append(.failed(failure: failure))
            } else {
                let outcome = MigrationOutcome(startedAt: order.issuedAt, endedAt: now, totalSeconds: 1.1)
                steps.append(.done(outcome: outcome, evidence: Evidence(channel: .ipsec, verdict: .covered)))
                if let guest = guests.firstIndex(where: { $0.name == order.vmName }),
                    let host = Self.hosts.firstIndex(of: order.target)
                {
                    guests[guest].host = host
                }
            }
            for step in steps {
                let report = OrderReport(order: order.id, host: order.source, at: now, step: step)
                _ = core.handle(.report(report, at: now))
            }
        }
        orders = []
    }

    private func sample(of host: Int, at now: Instant) -> LoadSample {
        let own = guests.filter { $0.host == host }
        let used = UInt64(own.count + 1) << 30
        return LoadSample(
            host: Self.hosts[host],
            at: now,
            intervalSeconds: 5,
            cpu: CPULoad(capacityCores: 4, busyCores: min(4, own.reduce(0.1) { $0 + $1.cores })),
            memory: MemoryLoad(totalBytes: 16 << 30, usedBytes: used, availableBytes: 16 << 30 - used),
            vms: own.map { guest in
                VMSample(
                    id: VMID("uuid-\(guest.name)"),
                    name: guest.name,
                    state: .running,
                    cpuCores: guest.cores,
                    vcpus: 1,
                    memoryBytes: 1 << 30
                )
            }
        )
    }
}

extension Instant {
    package static func second(_ second: Int) -> Instant {
        Instant(milliseconds: 1_770_000_000_000 + Int64(second) * 1000)
    }
}
