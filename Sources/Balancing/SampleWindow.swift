// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The samples of a host that tell of it as it is: since its last move ended and its agent last fell silent.
struct SampleWindow: Sendable {
    /// Oldest first.
    let samples: [LoadSample]
    /// The time in seconds that each sample stands for: since the one before it.
    ///
    /// History is thinned, and without weights the last two minutes would outvote the half hour.
    let weights: [Double]

    init(_ samples: [LoadSample]) {
        self.samples = samples
        weights = samples.indices.map { index in
            let gap =
                index > 0
                ? (samples[index].at - samples[index - 1].at).inSeconds
                : max(1, finite(samples[index].intervalSeconds) ?? 1)
            return min(max(gap, 0.001), HostHistory.thinSpan.inSeconds)
        }
    }

    /// The indices of the samples within a time before the sample `end`, which is the last.
    func indices(within length: Duration, before end: Int) -> Range<Int> {
        let oldest = samples[end].at - length
        var first = end
        while first > 0, samples[first - 1].at >= oldest { first -= 1 }
        return first..<(end + 1)
    }

    /// The mean over the time before the last sample, or before the sample `end`; `nil` without a figure.
    func mean(over length: Duration, before end: Int? = nil, of figure: (LoadSample) -> Double?) -> Double? {
        guard let end = end ?? samples.indices.last else { return nil }
        var sum = 0.0
        var weight = 0.0
        for index in indices(within: length, before: end) {
            guard let value = finite(figure(samples[index])) else { continue }
            sum += value * weights[index]
            weight += weights[index]
        }
        return weight > 0 ? sum / weight : nil
    }
}

/// A figure that can be reckoned with; samples come from outside, and what is not to be believed is not known.
func finite(_ value: Double?) -> Double? {
    // More bytes per second than any machine moves, and sums and squares of it are still numbers.
    guard let value, value >= 0, value <= 1e15 else { return nil }
    return value
}

extension HostHistory {
    /// The samples that began after `settledAt` and after the agent's last silence.
    ///
    /// A sample's rates reach one interval back, so one that began before a move ended is mixed. Samples from before a
    /// silence say nothing of what lasts until now; in the thinned part a minute between two is no silence.
    func settledWindow(since settledAt: Instant?, policy: Policy) -> SampleWindow {
        SampleWindow(Array(samples[settledPart(since: settledAt, policy: policy)]))
    }

    /// Which of the samples that are.
    func settledPart(since settledAt: Instant?, policy: Policy) -> Range<Int> {
        guard let latest else { return 0..<0 }
        let detailed = latest.at - Self.fullDetail
        var first = samples.count
        while first > 0 {
            let sample = samples[first - 1]
            if let settledAt, sample.began < settledAt { break }
            if first < samples.count {
                let thinned: Duration = sample.at < detailed ? Self.thinSpan : .zero
                let interval = samples[first].at - samples[first].began
                guard samples[first].at - sample.at <= policy.staleAfter + interval + thinned else { break }
            }
            first -= 1
        }
        return first..<samples.count
    }
}

extension LoadSample {
    /// When the interval began over which the sample's rates were taken.
    var began: Instant {
        at - .milliseconds(Int64(min(finite(intervalSeconds) ?? 0, 86400) * 1000))
    }
}
