// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Lab
import Testing

@testable import evenkeel

struct ChannelComparisonTests {
    @Test func goalsAreMetWhenTheFiguresMeetThem() {
        let comparison = comparison([
            figures(.ipsec, seconds: 11, bulk: 100e6, begin: 0.7, secrets: 0),
            figures(.tls, seconds: 12, bulk: 200e6, begin: 0.6, secrets: 0),
            figures(.plain, seconds: 10, bulk: 300e6, begin: 0.5, secrets: 9),
        ])
        #expect(comparison.goals.map(\.holds) == [true, true, true, true])
        #expect(comparison.text.contains("goal met: tls: total time at most 1.25 times plain's: 1.20 times"))
        #expect(comparison.text.contains("ipsec 200 ms, tls 100 ms"))
    }

    @Test func eachGoalIsMissedOnItsOwn() {
        let comparison = comparison([
            figures(.ipsec, seconds: 20, bulk: 100e6, begin: 0.9, secrets: 1),
            figures(.tls, seconds: 13, bulk: 200e6, begin: 0.6, secrets: 0),
            figures(.plain, seconds: 10, bulk: 300e6, begin: 0.5, secrets: 9),
        ])
        #expect(comparison.goals.map(\.holds) == [false, false, false, false])
        #expect(comparison.text.contains("goal MISSED"))
    }

    @Test func whatWasNotMeasuredIsNeitherMetNorMissed() {
        var ipsec = figures(.ipsec, seconds: 11, bulk: 100e6, begin: 0.7, secrets: 0)
        ipsec.heard = nil
        for index in ipsec.moves.indices { ipsec.moves[index].failure = "refused: a test" }
        let comparison = comparison([ipsec, figures(.plain, seconds: 10, bulk: 300e6, begin: 0.5, secrets: 9)])
        #expect(comparison.goals.map(\.holds) == [nil, nil, nil, nil])
        #expect(comparison.text.contains("ipsec failed: refused: a test"))
        #expect(comparison.text.contains("0 of 3"))
    }

    @Test func silenceAboutPlainIsNoSecrecy() {
        // A listener who hears nothing in the clear proves nothing about the others.
        let comparison = comparison([
            figures(.ipsec, seconds: 11, bulk: 100e6, begin: 0.7, secrets: 0),
            figures(.plain, seconds: 10, bulk: 300e6, begin: 0.5, secrets: 0),
        ])
        #expect(comparison.goals[2].holds == false)
    }

    @Test func theChartHasABarForEveryFigureThatThereIs() {
        let chart = BarChart(
            title: "a < b",
            yLabel: "y",
            series: ["one", "two"],
            groups: [("x", [1, nil]), ("y", [2, 3])]
        )
        #expect(chart.svg.components(separatedBy: "<rect x=").count - 1 == 2 + 3)
        #expect(chart.svg.contains("a &lt; b"))
    }

    private func comparison(_ channels: [ChannelFigures]) -> ChannelComparison {
        ChannelComparison(machine: "a test", guest: "none", channels: channels)
    }

    /// Three moves of 1 GB each.
    private func figures(
        _ channel: Channel,
        seconds: Double,
        bulk: Double,
        begin: Double,
        secrets: Int
    ) -> ChannelFigures {
        var figures = ChannelFigures(channel: channel)
        figures.moves = [-0.1, 0, 0.1].map { deviation in
            MoveFigures(
                totalSeconds: seconds + deviation,
                downtimeSeconds: 0.1,
                bytes: 1_000_000_000,
                silenceSeconds: 0.12,
                detection: .detected,
                beginSeconds: begin,
                sourceCPUSeconds: 4,
                targetCPUSeconds: 3,
                probes: nil,
                verdict: nil,
                failure: nil
            )
        }
        figures.bulk = [bulk]
        var heard = Eavesdropping()
        heard.secrets = secrets
        figures.heard = heard
        return figures
    }
}
