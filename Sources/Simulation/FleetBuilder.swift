// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Builds the hosts for a load.
public struct FleetBuilder: Sendable {
    /// Number of hosts.
    public var hosts: Int
    /// The mean share of all CPU that the load uses.
    public var meanCPU: Double
    /// The share of all memory that the VMs use.
    public var meanMemory: Double
    public var sampleInterval: Duration
    public var decisionInterval: Duration
    public var seed: UInt64

    public init(
        hosts: Int,
        meanCPU: Double = 0.55,
        meanMemory: Double = 0.65,
        sampleInterval: Duration,
        decisionInterval: Duration,
        seed: UInt64
    ) {
        self.hosts = max(1, hosts)
        self.meanCPU = meanCPU
        self.meanMemory = meanMemory
        self.sampleInterval = sampleInterval
        self.decisionInterval = decisionInterval
        self.seed = seed
    }

    /// Returns the settings of a fleet of equal hosts, whose mean CPU use over the run is `meanCPU`.
    ///
    /// VMs are placed by memory alone, as by a scheduler that does not know their load.
    public func settings(for workload: Workload, policy: Policy, duration: Duration) -> SimulationSettings {
        let steps = max(1, Int((duration.inSeconds / workload.step.inSeconds).rounded(.up)))
        let cores = workload.meanCores(over: steps) / meanCPU / Double(hosts)
        let memory = workload.vms.reduce(0) { $0 + Double($1.memoryBytes) } / meanMemory / Double(hosts)
        let largest = Double(workload.vms.map(\.memoryBytes).max() ?? 0)
        let width = String(hosts).count
        let specs = (0..<hosts).map { number in
            let digits = String(number + 1)
            return SimulationSettings.Host(
                name: HostName("h" + String(repeating: "0", count: width - digits.count) + digits),
                cores: max(1, (cores * 100).rounded() / 100),
                memoryBytes: UInt64(max(memory, 2 * largest))
            )
        }
        var settings = SimulationSettings(
            policy: policy.scaled(toSamplesEvery: sampleInterval, hosts: hosts),
            hosts: specs,
            workload: workload,
            placement: placement(of: workload.vms, on: specs),
            duration: duration,
            sampleInterval: sampleInterval,
            decisionInterval: decisionInterval,
            seed: seed
        )
        // A ledger read every few seconds is fast enough for samples that arrive every minute.
        settings.physics.ledgerDelay = 50...2500
        return settings
    }

    private func placement(of vms: [VMLoad], on hosts: [SimulationSettings.Host]) -> [Int] {
        var random = SplitMix64(seed: seed ^ 0x91ace)
        var free = hosts.map { Double($0.memoryBytes) }
        return vms.map { vm in
            // Of two random hosts, the one with more free memory: nearly as even as a comparison of all hosts.
            let (one, other) = (random.below(hosts.count), random.below(hosts.count))
            var best = free[one] >= free[other] ? one : other
            if free[best] < Double(vm.memoryBytes), let emptiest = free.indices.max(by: { free[$0] < free[$1] }) {
                best = emptiest
            }
            free[best] -= Double(vm.memoryBytes)
            return best
        }
    }
}

extension Policy {
    /// Returns the policy for samples at longer intervals than in production, or for many hosts.
    ///
    /// The short window lasts at least one interval, the long window at least two. Production detects an overload from
    /// three of four samples of five seconds each. A single sample over a minute contains as much information. There
    /// may be at least one concurrent move for every ten hosts.
    public func scaled(toSamplesEvery interval: Duration, hosts: Int) -> Policy {
        var policy = self
        policy.staleAfter = max(staleAfter, interval * 3)
        policy.shortWindow = max(shortWindow, interval)
        policy.longWindow = max(longWindow, interval * 2)
        func samples(in seconds: Double) -> Int { max(1, Int((seconds / max(0.001, interval.inSeconds)).rounded(.up))) }
        policy.overloadSamples = min(overloadSamples, samples(in: 15))
        policy.overloadWindow = max(policy.overloadSamples, min(overloadWindow, samples(in: 20)))
        policy.orderLifetime = max(orderLifetime, interval)
        policy.movesInAll = max(movesInAll, hosts / 10)
        return policy
    }
}
