// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The samples that describe a host in its present state: since its last move ended and since its agent's last silence.
struct SampleWindow: Sendable {
    /// Oldest first.
    let samples: [LoadSample]
    /// The time in seconds that each sample represents: since the sample before it, at most one thinning span.
    ///
    /// Without weights, the dense last two minutes would outvote the thinned half hour.
    let weights: [Double]

    init(_ samples: [LoadSample]) {
        self.samples = samples
        weights = samples.indices.map { index in
            let gap =
                index > 0
                ? (samples[index].at - samples[index - 1].at).inSeconds
                : max(1, usableFigure(samples[index].intervalSeconds) ?? 1)
            return min(max(gap, 0.001), HostHistory.thinSpan.inSeconds)
        }
    }

    /// Returns the indices of the samples within a time before the sample `end`, which is included.
    func indices(within length: Duration, before end: Int) -> Range<Int> {
        let oldest = samples[end].at - length
        var first = end
        while first > 0, samples[first - 1].at >= oldest { first -= 1 }
        return first..<(end + 1)
    }

    /// Returns the weighted mean over the time before the sample `end` (by default the last); `nil` without figures.
    func mean(over length: Duration, before end: Int? = nil, of figure: (LoadSample) -> Double?) -> Double? {
        guard let end = end ?? samples.indices.last else { return nil }
        var sum = 0.0
        var weight = 0.0
        for index in indices(within: length, before: end) {
            guard let value = usableFigure(figure(samples[index])) else { continue }
            sum += value * weights[index]
            weight += weights[index]
        }
        return weight > 0 ? sum / weight : nil
    }
}

extension HostHistory {
    /// Returns the samples that began after `settledAt` and after the agent's last silence.
    ///
    /// A sample's rates cover the interval before it, so one that began before a move ended is mixed. Samples from
    /// before a silence prove nothing about the present. In the thinned part, a minute between two samples is no
    /// silence.
    func settledWindow(since settledAt: Instant?, policy: Policy) -> SampleWindow {
        SampleWindow(Array(samples[settledPart(since: settledAt, policy: policy)]))
    }

    /// Returns the indices of these samples.
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
    /// The beginning of the interval that the sample's rates cover.
    var began: Instant {
        at - .milliseconds(Int64(min(usableFigure(intervalSeconds) ?? 0, 86400) * 1000))
    }
}
