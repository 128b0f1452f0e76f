// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Synthetic loads from a seed, in which existing VMs use 25 to 45 % of their VCPUs on average.
public enum LoadPattern: String, CaseIterable, Sendable {
    /// Each VM follows a daily cycle with noise; most VMs follow the same cycle.
    case diurnal
    /// Each VM alternates between nearly idle and nearly busy, for hours at a time.
    case bursty
    /// A third of the VMs become busy at the same moment; their load then fades over hours.
    case flashCrowd = "flash-crowd"
    /// Most VMs are calm; a few use all of their VCPUs for hours.
    case noisyNeighbour = "noisy-neighbour"
    /// VMs are created and removed during the run.
    case churn
    /// A fifth of the VMs for each of the other patterns.
    case mixed
}

extension Workload {
    /// Returns a synthetic load: `steps` values for each VM, of five minutes each.
    public static func generated(_ pattern: LoadPattern, vms count: Int, steps: Int, seed: UInt64) -> Workload {
        var random = SplitMix64(seed: seed ^ 0x10ad)
        let simple = LoadPattern.allCases.filter { $0 != .mixed }
        let crowdAt = steps > 0 ? steps / 4 + random.below(max(1, steps / 4)) : 0
        let vms = (0..<max(0, count)).map { number in
            let own = pattern == .mixed ? simple[number % simple.count] : pattern
            var vm = VMLoad(
                name: "\(own.rawValue)-\(number + 1)",
                demand: own.demand(steps: steps, crowdAt: crowdAt, random: &random),
                random: &random
            )
            if own == .churn { vm.live(steps: steps, random: &random) }
            return vm
        }
        return Workload(step: Trace.step, vms: vms)
    }
}

extension VMLoad {
    /// Draws when the VM exists: half of the VMs exist from the start, and the mean lifetime is a third of the run.
    ///
    /// The end of the run cuts a lifetime short.
    fileprivate mutating func live(steps: Int, random: inout SplitMix64) {
        guard steps > 2 else { return }
        if random.below(2) == 0 { existsFrom = 1 + random.below(steps - 1) }
        let lifetime = 1 + random.below(max(1, 2 * steps / 3))
        if existsFrom + lifetime < steps { existsUntil = existsFrom + lifetime }
    }
}

extension LoadPattern {
    fileprivate func demand(steps: Int, crowdAt: Int, random: inout SplitMix64) -> [Float] {
        let noise = 0.03 + 0.05 * random.unit
        func noisy(_ level: Double, _ random: inout SplitMix64) -> Float {
            Float(min(1, max(0, level + noise * (random.unit + random.unit - 1))))
        }
        let base = 0.1 + 0.3 * random.unit
        switch self {
        case .diurnal:
            // Nine of ten VMs follow the same cycle, shifted by up to an hour.
            let shift = random.below(10) == 0 ? random.unit : 0.04 * random.unit
            let height = 0.1 + 0.4 * random.unit
            return (0..<steps).map { step in
                let day = Double(step) / 288 + shift
                return noisy(base + height * Self.wave(day - day.rounded(.down)), &random)
            }
        case .bursty:
            var isBusy = random.below(3) == 0
            return (0..<steps).map { _ in
                // A burst lasts two hours on average, the calm after it four.
                if random.below(isBusy ? 24 : 48) == 0 { isBusy.toggle() }
                return noisy(isBusy ? 0.9 : 0.1, &random)
            }
        case .flashCrowd:
            let isCalled = random.below(3) == 0
            return (0..<steps).map { step in
                let since = step - crowdAt
                // Hyperbolic: a half after 1.5 hours, a quarter after 4.5.
                let crowd = isCalled && since >= 0 ? 0.7 / (1 + Double(since) / 18) : 0
                return noisy(base + crowd, &random)
            }
        case .noisyNeighbour:
            let isNoisy = random.below(12) == 0
            var isLoud = false
            return (0..<steps).map { _ in
                if isNoisy, random.below(36) == 0 { isLoud.toggle() }
                return noisy(isLoud ? 1 : base, &random)
            }
        case .churn:
            let level = 0.1 + 0.6 * random.unit
            return (0..<steps).map { _ in noisy(level, &random) }
        case .mixed: return (0..<steps).map { _ in noisy(base, &random) }
        }
    }

    /// Returns a daily cycle from 0 to 1, lowest at the start: two parabolas, which differ from a sine by less than
    /// 0.06.
    private static func wave(_ time: Double) -> Double {
        let x = 4 * time - 1
        return x < 1 ? 0.5 + 0.5 * x * (2 - abs(x)) : 0.5 - 0.5 * (x - 2) * (2 - abs(x - 2))
    }
}
