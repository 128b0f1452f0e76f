// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Detects from a series of round trips whether the VM was moved.
///
/// The method is that of König and Steinmetz, "Detecting migration of virtual machines" (2011). Round trips rise and
/// scatter while memory is copied. Then there is a gap. Afterwards they may stay at a different level.
struct MoveDetection: Codable, Sendable, Equatable {
    enum Verdict: String, Codable, Sendable {
        /// A gap, and another sign of a move before or after it.
        case detected
        /// A gap only: an outage, or a move without other signs.
        case gapOnly
        /// The round trips changed, but the VM never stopped replying.
        case changesOnly
        case quiet
    }

    var verdict: Verdict
    /// The longest time without a reply, if it is long enough to count.
    var gap: ProbeSeries.Gap?
    /// Begin of copying and end of the gap, in seconds since the first request; the gap only if no copying was
    /// detected.
    var began: Double?
    var ended: Double?
    /// Median round trips in seconds: before any change, during copying, and at the end.
    var quietLevel: Double?
    var copyingLevel: Double?
    var finalLevel: Double?
    var signs: [Sign]

    enum Sign: String, Codable, Sendable {
        /// Longer round trips before the gap.
        case raisedLevel
        /// Round trips that scatter more before the gap.
        case moreScatter
        /// A level after the gap that differs from the one before it.
        case shiftedLevel
    }

    /// The limits above which a difference counts as a change.
    struct Thresholds: Codable, Sendable, Equatable {
        /// Minimum length of a gap, in intervals; it must also exceed 99.9 % of the round trips.
        var gapIntervals = 3.0
        /// Number of round trips in a bin; the median and scatter of bins are compared.
        var binSize = 10
        /// Minimum length of a segment of constant level, in bins.
        var shortestSegment = 5
        /// Probability of a change by chance, if bins were independent.
        var significance = 1e-4
        /// Factor by which a level must be higher or lower to count as different.
        var levelFactor = 1.2
        /// Factor by which scatter must be larger to count as raised.
        var scatterFactor = 2.0
        /// Minimum distance of two levels, in standard deviations of chance (Mann and Whitney).
        var shiftDistance = 4.0
        /// Copying ends with the gap; its last bin may end up to this many bins earlier.
        var slackBins = 4
    }

    init(_ series: ProbeSeries, _ thresholds: Thresholds = Thresholds()) {
        signs = []
        let sorted = series.roundTrips.sorted()
        let least = max(thresholds.gapIntervals * series.interval, sorted.quantile(0.999) ?? 0)
        let gap = series.gaps(ofAtLeast: least).max { $0.seconds < $1.seconds }
        self.gap = gap
        // Requests sent within the gap carry no information about the path; without a gap all of it is before.
        let border = gap.map(\.from) ?? .infinity
        let before = Bins(series.echoes.filter { $0.sentAt < border - series.interval }, thresholds)
        let after = Bins(series.echoes.filter { echo in gap.map { echo.sentAt > $0.to } ?? false }, thresholds)
        let quiet = before.quietest
        quietLevel = quiet?.level ?? sorted.quantile(0.5)
        finalLevel = (after.segments.last.map(after.summary) ?? before.segments.last.map(before.summary))?.level
        verdict = gap == nil ? .quiet : .gapOnly
        began = gap?.from
        ended = gap?.to
        guard let quiet else { return }
        look(before, quiet, thresholds)
        if let last = after.segments.last, last.count >= thresholds.shortestSegment {
            let (old, new) = (quiet.values, Array(after.levels[last]))
            let factor = after.summary(last).level / quiet.level
            let isFar = factor > thresholds.levelFactor || factor < 1 / thresholds.levelFactor
            if isFar, ChangePoints.distance(old, new) > thresholds.shiftDistance { signs.append(.shiftedLevel) }
        }
        if !signs.isEmpty { verdict = gap == nil ? .changesOnly : .detected }
    }

    /// Searches for copying: the run of segments before the gap that are raised or scatter more than the quietest one.
    private mutating func look(_ before: Bins, _ quiet: Bins.Summary, _ thresholds: Thresholds) {
        var copying: Range<Int>?
        var found: Set<Sign> = []
        for segment in before.segments.reversed() {
            let here = before.summary(segment)
            var signs: Set<Sign> = []
            if here.level > quiet.level * thresholds.levelFactor { signs.insert(.raisedLevel) }
            if here.scatter > quiet.scatter * thresholds.scatterFactor { signs.insert(.moreScatter) }
            guard !signs.isEmpty else {
                let endsBeforeGap = gap != nil && copying == nil && segment.count > thresholds.slackBins
                if copying != nil || endsBeforeGap { break }
                continue
            }
            found.formUnion(signs)
            copying = segment.lowerBound..<(copying?.upperBound ?? segment.upperBound)
        }
        guard let copying else { return }
        signs += [.raisedLevel, .moreScatter].filter(found.contains)
        copyingLevel = before.summary(copying).level
        began = before.times[copying.lowerBound]
        if gap == nil { ended = before.times[min(copying.upperBound, before.times.count - 1)] }
    }
}

/// Round trips grouped into bins, and the segments of constant level and scatter.
struct Bins {
    /// The start, median and scatter (interquartile range) of each bin.
    var times: [Double] = []
    var levels: [Double] = []
    var scatters: [Double] = []
    var segments: [Range<Int>] = []

    struct Summary {
        var level: Double
        var scatter: Double
        var values: [Double]
    }

    init(_ echoes: [ProbeSeries.Echo], _ thresholds: MoveDetection.Thresholds) {
        let answered = echoes.filter { $0.roundTrip != nil }
        for start in stride(from: 0, to: answered.count - thresholds.binSize + 1, by: thresholds.binSize) {
            let bin = answered[start..<start + thresholds.binSize]
            let sorted = bin.compactMap(\.roundTrip).sorted()
            times.append(answered[start].sentAt)
            levels.append(sorted.quantile(0.5) ?? 0)
            scatters.append((sorted.quantile(0.75) ?? 0) - (sorted.quantile(0.25) ?? 0))
        }
        guard !levels.isEmpty else { return }
        // A border in either measure is a border.
        var borders: Set<Int> = []
        for values in [levels, scatters] {
            for part in ChangePoints.segments(
                of: values,
                significance: thresholds.significance,
                shortest: thresholds.shortestSegment
            ) { borders.insert(part.lowerBound) }
        }
        let starts = borders.sorted()
        segments = zip(starts, starts.dropFirst() + [levels.count]).map { $0..<$1 }
    }

    func summary(_ segment: Range<Int>) -> Summary {
        Summary(
            level: levels[segment].sorted().quantile(0.5) ?? 0,
            scatter: scatters[segment].sorted().quantile(0.5) ?? 0,
            values: Array(levels[segment])
        )
    }

    /// The segment of the lowest level and scatter, among those that last longer than a moment.
    var quietest: Summary? {
        segments.filter { $0.count * 10 >= levels.count || $0.count >= 10 }.map(summary)
            .min { $0.level * $0.scatter < $1.level * $1.scatter }
    }
}
