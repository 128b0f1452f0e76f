// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import EvenkeelCLI

/// The text, JSON and HTML forms of a comparison.
struct SimulationReportTests {
    private static func row(_ policy: String, _ summary: String, unserved: Double, moves: Int) -> SimulationOutcome.Row
    {
        SimulationOutcome.Row(
            policy: policy,
            summary: summary,
            wantedCoreHours: 200,
            unservedCoreHours: unserved,
            unservedShare: unserved / 200,
            overloadedHostMinutes: 61.5,
            meanSpread: 0.12345,
            migrations: moves,
            failedMigrations: 1,
            migratedGiB: 40.4,
            pingPong: 2,
            longestOverloadMinutes: 7,
            notPlaced: 0,
            seconds: 1.25,
            points: (0..<3).map { step in
                SimulationOutcome.Point(
                    hours: Double(step),
                    spread: 0.1,
                    meanCPU: 0.5,
                    largestCPU: 0.9,
                    overloadedHosts: step,
                    unservedShare: 0.01 * Double(step),
                    migrations: moves * step / 2
                )
            }
        )
    }

    private static let outcome = SimulationOutcome(
        scene: SimulationOutcome.Scene(
            load: "a <day> & \"night\"",
            hosts: 2,
            coresPerHost: 8,
            memoryPerHostGiB: 32,
            vms: 5,
            hours: 2,
            meanCPU: 0.55,
            sampleIntervalSeconds: 60,
            decisionIntervalSeconds: 60,
            seed: 7,
            faultLevel: "none",
            faults: 0
        ),
        rows: [
            row("evenkeel", "this project's controller", unserved: 1, moves: 4),
            row("<rival>", "moves & moves", unserved: 4, moves: 12),
            row("idle", "moves <nothing>", unserved: 8, moves: 0),
        ],
        peakMiB: 100
    )

    private let html = SimulationReport(outcome: outcome).html

    @Test func `the report needs no network`() {
        let outside = html.replacing("xmlns=\"http://www.w3.org/2000/svg\"", with: "")
        for reference in ["http:", "https:", "//", "<script", "<link", "<img", "<iframe", "@import", "url(", "src="] {
            #expect(!outside.contains(reference), "\(reference)")
        }
        #expect(html.hasPrefix("<!DOCTYPE html>") && html.hasSuffix("</html>\n"))
    }

    @Test func `the report contains every policy and the scenario, escaped`() {
        for row in Self.outcome.rows {
            let name = row.policy.escapedForMarkup
            #expect(html.contains("<td>\(name)</td>") && html.contains("<dt>\(name)</dt>"))
            #expect(html.contains("<dd>\(row.summary.escapedForMarkup)</dd>"))
        }
        #expect(!html.contains("<rival>") && !html.contains("<nothing>") && !html.contains("<day>"))
        #expect(html.contains("a &lt;day&gt; &amp; \"night\""))
        #expect(html.contains("Best baseline: &lt;rival&gt;. Evenkeel left 0.25 times as much CPU"))
    }

    @Test func `each plot is well-formed and has a line for each policy`() throws {
        for title in [
            "Unserved CPU by number of moves", "Unserved CPU<", "Hosts short of CPU",
            "Spread of CPU across the hosts", "Moves<",
        ] { #expect(html.contains(">\(title)"), "\(title)") }
        let plots = html.components(separatedBy: "<svg ").dropFirst().map {
            "<svg " + ($0.components(separatedBy: "</svg>").first ?? "") + "</svg>"
        }
        #expect(plots.count == 5)
        for plot in plots {
            #expect(plot.contains("&lt;rival&gt;") && plot.contains(">evenkeel<") && plot.contains(">idle<"))
            #expect(!plot.contains("nan") && !plot.contains("inf"))
            for tag in ["svg", "text"] {
                #expect(
                    plot.components(separatedBy: "<\(tag)").count == plot.components(separatedBy: "</\(tag)>").count
                )
            }
        }
    }

    @Test func `a run without events is drawn`() {
        var outcome = Self.outcome
        outcome.rows = [Self.row("evenkeel", "", unserved: 0, moves: 0)]
        outcome.rows[0].points = []
        let html = SimulationReport(outcome: outcome).html
        #expect(!html.contains("nan") && !html.contains("inf") && !html.contains("Best baseline"))
        #expect(html.components(separatedBy: "<svg ").count == 6)
    }

    @Test func `the table is readable`() {
        let expected = """
            a <day> & "night": 5 VMs on 2 hosts of 8.0 cores and 32 GiB, 55 % CPU on average, 2 h, samples every 60 s, \
            decisions every 60 s, seed 7

            POLICY    UNSERVED  CORE HOURS  OVERLOADED  SPREAD    MOVES  FAILED  GIB MOVED  PING-PONG  LONGEST  RUN TIME
            evenkeel  0.500 %   1.0         62 min      12.345 %  4      1       40         2          7 min    1.2 s
            <rival>   2.000 %   4.0         62 min      12.345 %  12     1       40         2          7 min    1.2 s
            idle      4.000 %   8.0         62 min      12.345 %  0      1       40         2          7 min    1.2 s

            Best baseline: <rival>. Evenkeel left 0.25 times as much CPU unserved, with 4 moves instead of 12.

            Peak memory: \(Self.outcome.peakMiB) MiB.
            """
        #expect(Self.outcome.text == expected, "\(Self.outcome.text)")
    }

    @Test func `the scenario names the faults if there are any`() {
        var scene = Self.outcome.scene
        scene.faults = 3
        scene.faultLevel = "light"
        #expect(scene.text.hasSuffix("seed 7, 3 faults (light)"))
    }

    @Test func `the JSON keys are stable`() throws {
        let text = try jsonText(Self.outcome)
        let value = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(value.keys.sorted() == ["peakMiB", "rows", "scene"])
        let scene = try #require(value["scene"] as? [String: Any])
        #expect(
            scene.keys.sorted() == [
                "coresPerHost", "decisionIntervalSeconds", "faultLevel", "faults", "hosts", "hours", "load", "meanCPU",
                "memoryPerHostGiB", "sampleIntervalSeconds", "seed", "vms",
            ]
        )
        let row = try #require((value["rows"] as? [[String: Any]])?.first)
        #expect(
            row.keys.sorted() == [
                "failedMigrations", "longestOverloadMinutes", "meanSpread", "migratedGiB", "migrations", "notPlaced",
                "overloadedHostMinutes", "pingPong", "points", "policy", "seconds", "summary", "unservedCoreHours",
                "unservedShare", "wantedCoreHours",
            ]
        )
        let point = try #require((row["points"] as? [[String: Any]])?.first)
        #expect(
            point.keys.sorted() == [
                "hours", "largestCPU", "meanCPU", "migrations", "overloadedHosts", "spread", "unservedShare",
            ]
        )
    }
}
