// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

@testable import evenkeel_lab

/// Synthetic round-trip times from a seed: log-normal and autocorrelated, with outliers and losses.
struct SyntheticSeries {
    var seed: UInt64
    var seconds = 40.0
    var interval = 0.02
    /// In seconds.
    var base = 0.0004
    /// The autocorrelation: the share of its deviation that each round trip takes from the previous one.
    var memory = 0.3
    /// The share of lost requests, and of requests answered ten times as late as others.
    var losses = 0.001
    var outliers = 0.01
    var move: Move?
    /// An outage without a move: its start and duration.
    var outage: (at: Double, seconds: Double)?

    struct Move {
        var copyingFrom = 15.0
        var gapAt = 20.0
        var downtime = 0.2
        /// Factors on the round-trip times and their scatter.
        var copyingLevel = 1.8
        var copyingScatter = 2.0
        var finalLevel = 1.0
    }

    func make() -> ProbeSeries {
        var random = SplitMix64(seed: seed)
        func uniform() -> Double { Double(random.next() >> 11) * 0x1p-53 }
        func normal() -> Double { (-2 * log(1 - uniform())).squareRoot() * cos(2 * .pi * uniform()) }
        var series = ProbeSeries(interval: interval)
        var deviation = 0.0
        let gap = move.map { ($0.gapAt, $0.downtime) } ?? outage.map { ($0.at, $0.seconds) }
        for index in 0..<Int(seconds / interval) {
            let at = Double(index) * interval
            deviation = memory * deviation + (1 - memory * memory).squareRoot() * normal()
            var (level, scatter) = (1.0, 0.15)
            if let move {
                if at >= move.gapAt {
                    level = move.finalLevel
                } else if at >= move.copyingFrom {
                    (level, scatter) = (move.copyingLevel, scatter * move.copyingScatter)
                }
            }
            var roundTrip: Double? = base * level * exp(deviation * scatter)
            if uniform() < outliers { roundTrip = roundTrip.map { $0 * 10 } }
            if uniform() < losses { roundTrip = nil }
            if let (start, length) = gap, at >= start, at < start + length { roundTrip = nil }
            series.echoes.append(.init(sentAt: at, roundTrip: roundTrip))
        }
        series.ended = seconds
        return series
    }
}
