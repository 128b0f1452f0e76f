// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import evenkeel_lab

struct ProbeSeriesTests {
    @Test func `the gap is the time by which an answer was overdue`() {
        var series = ProbeSeries(interval: 0.02)
        for index in 0..<50 {
            let lost = (20..<30).contains(index)
            series.echoes.append(.init(sentAt: Double(index) * 0.02, roundTrip: lost ? nil : 0.001))
        }
        let gaps = series.gaps(ofAtLeast: 0.05)
        #expect(gaps.count == 1 && abs(gaps[0].seconds - 0.2) < 1e-9 && gaps[0].hasEnded)
        #expect(abs(gaps[0].from - 0.381) < 1e-9 && abs(gaps[0].to - 0.601) < 1e-9)
    }

    @Test func `late answers are a gap, too`() {
        var series = ProbeSeries(interval: 0.02)
        for index in 0..<50 {
            let at = Double(index) * 0.02
            // All requests sent within the downtime are answered at its end.
            series.echoes.append(.init(sentAt: at, roundTrip: (20..<30).contains(index) ? 0.6 - at : 0.001))
        }
        let summary = ProbeSummary(series)
        #expect(summary.lost == 0)
        #expect(abs(summary.longestSilence - 0.199) < 1e-9)
    }

    @Test func `the figures are those of the round-trip times`() throws {
        var series = ProbeSeries(interval: 0.02)
        for (index, roundTrip) in [0.003, nil, 0.001, 0.002, 0.005].enumerated() {
            series.echoes.append(.init(sentAt: Double(index) * 0.02, roundTrip: roundTrip))
        }
        let summary = ProbeSummary(series)
        #expect(summary.sent == 5 && summary.lost == 1)
        #expect(summary.median == 0.0025 && summary.maximum == 0.005)
        #expect(try abs(#require(summary.jitter) - 0.002) < 1e-12)
        #expect(ProbeSummary(ProbeSeries(interval: 0.02)).median == nil)
    }

    @Test func `change detection depends only on ranks`() throws {
        let level = (0..<60).map { Double($0 % 7) + ($0 < 40 ? 0 : 5) }
        let change = try #require(ChangePoints.change(in: level, shortest: 5))
        #expect(change.at == 40 && change.probability < 1e-4)
        // The same with one outlier.
        var wild = level
        wild[10] = 1e9
        #expect(ChangePoints.segments(of: wild, significance: 1e-3, shortest: 5) == [0..<40, 40..<60])
        #expect(ChangePoints.segments(of: level.map { _ in 1 }, significance: 1e-3, shortest: 5) == [0..<60])
        #expect(ChangePoints.ranks(of: [3, 1, 3, 2]) == [3.5, 1, 3.5, 2])
    }
}
