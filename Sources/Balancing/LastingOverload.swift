// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Whether a window of samples shows an overload of one resource.
enum Overload {
    case lasting(OverloadSign)
    /// Some samples are above the threshold, but not enough, or not for long enough.
    case notYet(OverloadSign)
    case none
}

extension SampleWindow {
    /// Returns whether the overload of a resource lasts.
    ///
    /// It begins when all three are above the upper threshold: `overloadSamples` of the last `overloadWindow` samples,
    /// the mean over the short window, and samples for `lastingShare` of the long window. It ends when
    /// `overloadSamples` of the last `overloadWindow` are below the threshold by the hysteresis. The state is computed
    /// from the history each time, so a restarted controller judges like the previous one.
    func overload(of resource: Resource, policy: Policy) -> Overload {
        let thresholds = resource.thresholds(in: policy)
        let upper = thresholds.upper
        let release = max(thresholds.lower, upper - policy.hysteresis)
        let shares = samples.map { resource.share(of: $0) ?? 0 }
        guard let last = shares.indices.last, shares.contains(where: { $0 > upper }) else { return .none }
        func recent(_ end: Int) -> ArraySlice<Double> { shares[...end].suffix(policy.overloadWindow) }
        func above(_ end: Int) -> Int { recent(end).count { $0 > upper } }
        func windows(_ end: Int) -> (mean: Double, lasting: Double) {
            (
                self.mean(over: policy.shortWindow, before: end) { resource.share(of: $0) } ?? 0,
                self.mean(over: policy.longWindow, before: end) { (resource.share(of: $0) ?? 0) > upper ? 1 : 0 } ?? 0
            )
        }
        var isOverloaded = false
        for end in shares.indices {
            if isOverloaded {
                isOverloaded = recent(end).count { $0 < release } < policy.overloadSamples
            } else if shares[end] > upper || end == last, above(end) >= policy.overloadSamples {
                let (mean, lasting) = windows(end)
                isOverloaded = mean > upper && lasting >= policy.lastingShare
            }
        }
        let (of, needed) = (recent(last).count, policy.overloadSamples)
        let seen = SamplesAbove(resource: resource.loaded, upper: upper, count: above(last), of: of)
        guard !isOverloaded else {
            return seen.count >= needed
                ? .lasting(.lasting(seen, now: shares[last]))
                : .lasting(
                    .notReleased(
                        resource.loaded,
                        upper: upper,
                        release: release,
                        samples: needed,
                        of: of,
                        now: shares[last]
                    )
                )
        }
        guard seen.count > 0 else { return .none }
        guard seen.count >= needed else { return .notYet(.tooFew(seen, needed: needed)) }
        let (mean, lasting) = windows(last)
        let both = OverloadWindows(
            mean: mean,
            shortSeconds: policy.shortWindow.wholeSeconds,
            lasting: lasting,
            longSeconds: policy.longWindow.wholeSeconds,
            lastingNeeded: policy.lastingShare
        )
        return .notYet(.tooBrief(seen, windows: both))
    }
}
