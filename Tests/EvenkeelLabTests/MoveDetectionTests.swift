// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import evenkeel_lab

struct MoveDetectionTests {
    @Test(arguments: 1...100 as ClosedRange<UInt64>)
    func `a move is detected with its beginning, end and gap`(seed: UInt64) throws {
        let detection = MoveDetection(SyntheticSeries(seed: seed, move: .init()).make())
        #expect(detection.verdict == .detected, "seed \(seed)")
        #expect(detection.signs.contains(.raisedLevel))
        let (began, ended, gap) = try (#require(detection.began), #require(detection.ended), #require(detection.gap))
        #expect(abs(began - 15) < 1.5, "seed \(seed)")
        #expect(abs(ended - 20.2) < 0.1, "seed \(seed)")
        #expect(abs(gap.seconds - 0.2) < 0.045 && gap.hasEnded, "seed \(seed)")
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a move that only shifts the level is detected`(seed: UInt64) {
        let move = SyntheticSeries.Move(copyingLevel: 1, copyingScatter: 1, finalLevel: 1.5)
        let detection = MoveDetection(SyntheticSeries(seed: seed, move: move).make())
        #expect(detection.verdict == .detected && detection.signs == [.shiftedLevel], "seed \(seed)")
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a move that only increases the scatter is detected`(seed: UInt64) {
        let move = SyntheticSeries.Move(copyingLevel: 1, copyingScatter: 4)
        let detection = MoveDetection(SyntheticSeries(seed: seed, move: move).make())
        #expect(detection.verdict == .detected && detection.signs.contains(.moreScatter), "seed \(seed)")
    }

    /// Measures the rate of false alarms on series without a move, with and without an outage.
    @Test(arguments: [0.0, 0.5, 0.8, 0.95])
    func `quiet series cause few false alarms`(memory: Double) {
        let count = 150
        var alarms = 0
        var alarmsAtOutages = 0
        for seed in 1...UInt64(count) {
            let quiet = SyntheticSeries(seed: seed, memory: memory)
            if MoveDetection(quiet.make()).verdict == .detected { alarms += 1 }
            var cut = quiet
            cut.outage = (20, 0.2)
            if MoveDetection(cut.make()).verdict == .detected { alarmsAtOutages += 1 }
        }
        print("memory \(memory), seeds 1 to \(count): \(alarms) false alarms, with an outage \(alarmsAtOutages)")
        #expect(alarms == 0)
        #expect(alarmsAtOutages <= count / 100)
    }

    @Test func `an outage alone is a gap but no move`() {
        let detection = MoveDetection(SyntheticSeries(seed: 5, outage: (20, 0.5)).make())
        #expect(detection.verdict == .gapOnly && detection.signs.isEmpty)
        #expect(detection.gap.map { abs($0.seconds - 0.5) < 0.045 } == true)
    }

    @Test func `a VM that never answers again has an open gap`() {
        let detection = MoveDetection(SyntheticSeries(seed: 5, outage: (20, 100)).make())
        #expect(detection.gap?.hasEnded == false)
        #expect(detection.gap.map { abs($0.seconds - 20) < 0.1 } == true)
    }

    @Test func `empty and short series give no result`() {
        var series = ProbeSeries(interval: 0.02)
        #expect(MoveDetection(series).verdict == .quiet)
        series.echoes = [.init(sentAt: 0, roundTrip: 0.001), .init(sentAt: 0.02, roundTrip: 0.001)]
        #expect(MoveDetection(series).verdict == .quiet)
    }
}
