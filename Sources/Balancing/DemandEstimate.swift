// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The part of a host's history from which figures are taken.
public enum HistoryWindow: Sendable, CaseIterable {
    case short
    case long
    /// The larger of the two: a rise counts within a minute, a fall only if it lasts.
    case both

    func choose(_ short: Double, _ long: Double) -> Double {
        switch self {
        case .short: short
        case .long: long
        case .both: max(short, long)
        }
    }
}

/// The CPU that a host's VMs and the host itself need: more than they use if they wait for it.
struct DemandEstimate {
    struct VM {
        var cores: Double
        /// The highest demand expected within the policy's forecast, in cores.
        var peakCores: Double
    }
    /// In the order of the latest sample's VMs; `nil` for a VM without figures.
    private(set) var vms: [VM?] = []
    private(set) var ownCores = 0.0

    init(_ window: SampleWindow, over part: HistoryWindow, policy: Policy) {
        guard let latest = window.samples.last, let listed = latest.vms else { return }
        var series = [CPUSeries](repeating: CPUSeries(), count: listed.count)
        let shortest = latest.at - policy.shortWindow
        let longest = latest.at - policy.longWindow
        for (index, sample) in window.samples.enumerated() where sample.at >= longest {
            guard let known = sample.vms else { continue }
            let time = (sample.at - latest.at).inSeconds
            for (number, vm) in listed.enumerated() {
                // A host nearly always lists its VMs in the same order.
                let same = number < known.count && known[number].id == vm.id
                let seen = same ? known[number] : known.first { $0.id == vm.id }
                guard let cores = usableFigure(seen?.cpuCores) else { continue }
                let isShort = sample.at >= shortest
                let waiting = usableFigure(seen?.waitingCores) ?? 0
                series[number].add(cores, waiting, at: time, weight: window.weights[index], isShort: isShort)
            }
        }
        let factor = Self.hiddenDemand(window, policy: policy)
        var used = 0.0
        // VCPU wait is more precise than pressure, but the kernel may report none under a control group's limit.
        let waited = series.reduce(0) { $0 + part.choose($1.shortWaiting, $1.waiting) }
        let total = series.reduce(0) { $0 + part.choose($1.shortMean ?? 0, $1.mean ?? 0) }
        let isReported = factor.map { waited > total * ($0 - 1) * Self.leastReportedWaiting } ?? false
        vms = zip(listed, series).map { vm, series in
            guard let short = series.shortMean, let long = series.mean else { return nil }
            let cores = part.choose(short, long)
            used += cores
            let most = vm.vcpus.map { Double($0) } ?? .infinity
            // Each window is computed separately: CPU that the VM waited for on one host it may have got on another.
            let wanted =
                isReported
                ? part.choose(
                    VMSample.demand(using: short, waiting: series.shortWaiting),
                    VMSample.demand(using: long, waiting: series.waiting)
                ) : cores * (factor ?? 1)
            let demand = max(cores, min(wanted, most))
            let rise = max(0, series.trend) * policy.forecast.inSeconds
            return VM(cores: demand, peakCores: max(demand, min(demand + rise, most)))
        }
        let busy: (LoadSample) -> Double? = { usableFigure($0.cpu?.busyCores) }
        let long = window.mean(over: policy.longWindow, of: busy) ?? 0
        ownCores = max(0, part.choose(window.mean(over: policy.shortWindow, of: busy) ?? long, long) - used)
    }

    /// Returns the factor by which the VMs' demand exceeds their use because they wait; `nil` if CPU is free.
    private static func hiddenDemand(_ window: SampleWindow, policy: Policy) -> Double? {
        guard let share = window.mean(over: policy.shortWindow, of: { $0.cpu?.share }) else { return nil }
        let pressure = window.mean(over: policy.shortWindow, of: { $0.pressure?.cpu })
        return LoadSample.hiddenDemand(share: share, pressure: pressure)
    }

    /// The wait counts as reported only above this share of the wait that the host's pressure suggests.
    private static let leastReportedWaiting = 0.1
}

/// The CPU use of one VM over time: its mean over each window, and its trend.
private struct CPUSeries {
    private var short = (weight: 0.0, sum: 0.0, waiting: 0.0)
    private var waitingSum = 0.0
    private var weight = 0.0
    private var sum = 0.0
    private var squares = 0.0
    private var time = 0.0
    private var timeSquares = 0.0
    private var product = 0.0
    private var oldest = 0.0

    /// Adds an observation; `time` is in seconds relative to the latest sample, at most 0.
    mutating func add(_ cores: Double, _ waiting: Double, at time: Double, weight: Double, isShort: Bool) {
        if isShort {
            short.weight += weight
            short.sum += weight * cores
            short.waiting += weight * waiting
        }
        waitingSum += weight * waiting
        self.weight += weight
        sum += weight * cores
        squares += weight * cores * cores
        self.time += weight * time
        timeSquares += weight * time * time
        product += weight * time * cores
        oldest = min(oldest, time)
    }

    var mean: Double? { weight > 0 ? sum / weight : nil }
    var shortMean: Double? { short.weight > 0 ? short.sum / short.weight : mean }
    /// Mean wait, in cores.
    var waiting: Double { weight > 0 ? waitingSum / weight : 0 }
    var shortWaiting: Double { short.weight > 0 ? short.waiting / short.weight : waiting }

    /// Change of the use, in cores per second; 0 if it cannot be distinguished from chance.
    ///
    /// Least squares over at least ten minutes, with each minute as one observation. A slope below four times its
    /// standard error counts as chance.
    var trend: Double {
        guard weight > 0, oldest <= -600 else { return 0 }
        let timeVariance = timeSquares / weight - (time / weight) * (time / weight)
        let variance = squares / weight - (sum / weight) * (sum / weight)
        guard timeVariance > 0 else { return 0 }
        let slope = (product / weight - time / weight * sum / weight) / timeVariance
        let residual = max(0, variance - slope * slope * timeVariance)
        let error = (residual / timeVariance / max(1, weight / 60 - 2)).squareRoot()
        return abs(slope) > 4 * error ? slope : 0
    }
}
