// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Whether a series of round trips shows that the VM was moved, in the way of König and Steinmetz, "Detecting migration
/// of virtual machines" (2011): while its memory is copied the round trips rise and scatter, then there is a gap, and
/// afterwards they may have another level for good.
struct MoveDetection: Codable, Sendable, Equatable {
    enum Verdict: String, Codable, Sendable {
        /// A gap, and what a move does before or after it.
        case detected
        /// A gap alone: an outage, or a move that shows nothing else.
        case gapOnly
        /// The round trips changed, but the VM always answered.
        case changesOnly
        case quiet
    }

    var verdict: Verdict
    /// The longest time without an answer, where it is long enough to count.
    var gap: ProbeSeries.Gap?
    /// When copying and the gap began and ended, in seconds since the first request; the gap alone where no copying was
    /// seen.
    var began: Double?
    var ended: Double?
    /// The medians of the round trips in seconds: before anything changed, while memory was copied, and at the end.
    var quietLevel: Double?
    var copyingLevel: Double?
    var finalLevel: Double?
    var signs: [Sign]

    enum Sign: String, Codable, Sendable {
        /// Before the gap: longer round trips.
        case raisedLevel
        /// Before the gap: round trips that scatter more.
        case moreScatter
        /// Another level after the gap than before.
        case shiftedLevel
    }

    /// What counts as a change.
    struct Thresholds: Codable, Sendable, Equatable {
        /// An answer must be overdue by so many intervals, and by as much as all but one in a thousand round trips take.
        var gapIntervals = 3.0
        /// Round trips are taken together by so many; their median and scatter is what is looked at.
        var binSize = 10
        /// The shortest time of one level, in bins.
        var shortestSegment = 5
        /// The probability of a change by chance, if bins were independent.
        var significance = 1e-4
        /// A level counts as another if it is higher or lower by this factor.
        var levelFactor = 1.2
        /// Scatter counts as more if it is so many times as large.
        var scatterFactor = 2.0
        /// Two levels differ for good if they are so many standard deviations of chance apart (Mann and Whitney).
        var shiftDistance = 4.0
        /// Copying ends with the gap: its last bin may end so many bins earlier.
        var slackBins = 4
    }

    init(_ series: ProbeSeries, _ thresholds: Thresholds = Thresholds()) {
        signs = []
        let sorted = series.roundTrips.sorted()
        let least = max(thresholds.gapIntervals * series.interval, sorted.quantile(0.999) ?? 0)
        let gap = series.gaps(ofAtLeast: least).max { $0.seconds < $1.seconds }
        self.gap = gap
        // What was sent within the gap says nothing of the path; without a gap all of it is before.
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

    /// Looks for copying: the run of segments, up to the gap, that are raised or scatter more than the quietest does.
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

/// Round trips taken together by ten or so, and the parts of one level and scatter.
struct Bins {
    /// When each bin began, its median and its scatter (the distance of the quartiles).
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
        // A border of either kind is a border.
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

    /// The segment of the lowest level and scatter among those that are not just a moment.
    var quietest: Summary? {
        segments.filter { $0.count * 10 >= levels.count || $0.count >= 10 }.map(summary)
            .min { $0.level * $0.scatter < $1.level * $1.scatter }
    }
}
