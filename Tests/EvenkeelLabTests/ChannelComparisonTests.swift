// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Lab
import Testing

@testable import evenkeel_lab

struct ChannelComparisonTests {
    @Test func `goals are met when the figures meet them`() {
        let comparison = comparison([
            figures(.ipsec, seconds: 11, bulk: 100e6, pinhole: 0.02, secrets: 0),
            figures(.tls, seconds: 12, bulk: 200e6, pinhole: 0.01, secrets: 0),
            figures(.plain, seconds: 10, bulk: 300e6, pinhole: 0.01, secrets: 9),
        ])
        #expect(comparison.goals.map(\.holds) == [true, true, true, true])
        #expect(comparison.text.contains("goal met: tls: total time at most 1.25 times plain's: 1.20 times"))
        #expect(comparison.text.contains("add less than 300 ms to a move: ipsec 150 ms, tls 140 ms, plain 140 ms"))
        #expect(comparison.text.contains("compared with plain: ipsec 400 ms, tls 400 ms"))
        #expect(comparison.markdown.contains("| met | ipsec 150 ms, tls 140 ms, plain 140 ms |"))
        #expect(comparison.markdown.contains("| 130 ms | 20 ms | 500 ms |"))
        #expect(!comparison.failed)
    }

    @Test func `each goal is missed independently`() {
        let comparison = comparison([
            figures(.ipsec, seconds: 20, bulk: 100e6, pinhole: 0.18, secrets: 1),
            figures(.tls, seconds: 13, bulk: 200e6, pinhole: 0.01, secrets: 0),
            figures(.plain, seconds: 10, bulk: 300e6, pinhole: 0.01, secrets: 9),
        ])
        #expect(comparison.goals.map(\.holds) == [false, false, false, false])
        #expect(comparison.text.contains("goal MISSED"))
        #expect(comparison.failed)
    }

    @Test func `a goal without measurements is neither met nor missed`() {
        var ipsec = figures(.ipsec, seconds: 11, bulk: 100e6, pinhole: 0.02, secrets: 0)
        ipsec.heard = nil
        for index in ipsec.moves.indices { ipsec.moves[index].failure = "refused: a test" }
        let comparison = comparison([ipsec, figures(.plain, seconds: 10, bulk: 300e6, pinhole: 0.01, secrets: 9)])
        #expect(comparison.goals.map(\.holds) == [nil, nil, nil, nil])
        #expect(comparison.text.contains("ipsec failed: refused: a test"))
        #expect(comparison.text.contains("0 of 3"))
        #expect(comparison.failed, "no goal is missed, and nothing moved")
    }

    @Test func `a move that fails or shows no protection fails the run`() {
        func failed(_ change: (inout ChannelFigures) -> Void) -> [String] {
            var tls = figures(.tls, seconds: 10, bulk: 200e6, pinhole: 0.01, secrets: 0)
            change(&tls)
            let comparison = comparison([tls, figures(.plain, seconds: 10, bulk: 300e6, pinhole: 0.01, secrets: 9)])
            #expect(comparison.failed == !tls.failures.isEmpty)
            #expect(comparison.goals.allSatisfy { $0.holds != false })
            return tls.failures
        }
        #expect(failed { _ in } == [])
        #expect(failed { $0.moves[1].failure = "escort: a test" } == ["escort: a test"])
        #expect(failed { $0.moves[1].verdict = .leak } == ["evidence is 'leak'"])
        #expect(failed { $0.listeningFailure = "a test" } == ["while captured: a test"])
    }

    @Test func `a channel through migration ports must show how long its gates took`() {
        var sealed = figures(.sealed, seconds: 10, bulk: 200e6, pinhole: 0.01, secrets: 0)
        for index in sealed.moves.indices { sealed.moves[index].probeSeconds = nil }
        var ssh = figures(.ssh, seconds: 10, bulk: 200e6, pinhole: 0.01, secrets: 0)
        for index in ssh.moves.indices { ssh.moves[index].pinholeSeconds = nil }
        var plain = figures(.plain, seconds: 10, bulk: 300e6, pinhole: 0.01, secrets: 9)
        #expect(comparison([sealed, ssh, plain]).goals.last?.holds == true)
        for index in plain.moves.indices { plain.moves[index].pinholeSeconds = nil }
        #expect(comparison([sealed, plain]).goals.last?.seen == "not measured: plain")
    }

    @Test func `hearing no secret under plain is not a success`() {
        // A listener that hears nothing in the clear proves nothing about the other channels.
        let comparison = comparison([
            figures(.ipsec, seconds: 11, bulk: 100e6, pinhole: 0.02, secrets: 0),
            figures(.plain, seconds: 10, bulk: 300e6, pinhole: 0.01, secrets: 0),
        ])
        #expect(comparison.goals[2].holds == false)
    }

    @Test func `the chart has a bar for every figure`() {
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
        pinhole: Double,
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
                probeSeconds: 0.13,
                pinholeSeconds: pinhole,
                beginSeconds: channel == .plain ? 0.1 : 0.5,
                sourceCPUSeconds: 4,
                targetCPUSeconds: 3,
                probes: nil,
                verdict: channel == .plain ? .unprotected : .covered,
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
