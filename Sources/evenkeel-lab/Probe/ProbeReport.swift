// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI

/// The results of a probe, as text and as JSON.
struct ProbeReport: Encodable, Sendable {
    var address: String
    var summary: ProbeSummary
    var detection: MoveDetection
    var thresholds: MoveDetection.Thresholds
    var series: ProbeSeries

    init(address: String, series: ProbeSeries) {
        self.address = address
        self.series = series
        thresholds = MoveDetection.Thresholds()
        summary = ProbeSummary(series)
        detection = MoveDetection(series, thresholds)
    }

    /// Returns the line that is redrawn during the probe.
    static func liveLine(_ series: ProbeSeries) -> String {
        let summary = ProbeSummary(series)
        let last = series.roundTrips.last.map(milliseconds) ?? "-"
        return
            "\(Units.seconds(series.ended))  \(summary.sent) sent, \(summary.lost) unanswered; round trip \(last), "
            + "median \(summary.median.map(milliseconds) ?? "-"); longest silence \(milliseconds(summary.longestSilence))"
    }

    var text: String {
        var lines = ["\(address): \(summary.sent) echo requests, one every \(Self.milliseconds(series.interval))"]
        func shown(_ value: Double?) -> String { value.map(Self.milliseconds) ?? "-" }
        lines.append(
            "round trips: median \(shown(summary.median)), p95 \(shown(summary.percentile95)), "
                + "max \(shown(summary.maximum)), jitter \(shown(summary.jitter)); \(summary.lost) unanswered"
        )
        lines.append(
            "longest time without a reply: \(Self.milliseconds(summary.longestSilence)) "
                + "(resolution \(Self.milliseconds(series.interval)))"
        )
        return (lines + [verdict]).joined(separator: "\n")
    }

    private var verdict: String {
        switch detection.verdict {
        case .quiet: return "No sign of a move."
        case .changesOnly:
            return "No sign of a move: round trips changed, but the VM never stopped replying (\(signs))."
        case .gapOnly:
            return "Gap of \(gap), no other sign: an outage, or a move that looks like one."
        case .detected:
            var text = "Move DETECTED: \(signs), and a gap of \(gap)"
            if let began = detection.began, let ended = detection.ended {
                text += "; began at \(Units.seconds(began)), ended at \(Units.seconds(ended))"
            }
            return text + "."
        }
    }

    private var gap: String {
        guard let gap = detection.gap else { return "?" }
        return Self.milliseconds(gap.seconds) + (gap.hasEnded ? "" : " (not ended)")
    }

    private var signs: String {
        detection.signs.map { sign in
            func change(to level: Double?) -> String {
                guard let quiet = detection.quietLevel, let level else { return "" }
                return " (\(Self.milliseconds(quiet)) → \(Self.milliseconds(level)))"
            }
            return switch sign {
            case .raisedLevel: "longer round trips\(change(to: detection.copyingLevel))"
            case .moreScatter: "higher variance"
            case .shiftedLevel: "different level afterwards\(change(to: detection.finalLevel))"
            }
        }.joined(separator: ", ")
    }

    static func milliseconds(_ seconds: Double) -> String {
        let milliseconds = seconds * 1000
        return "\(Units.decimals(milliseconds, milliseconds < 10 ? 2 : milliseconds < 100 ? 1 : 0)) ms"
    }

    /// The round trips over time, with detected phases shaded.
    var svg: String {
        let shown = series.echoes.compactMap { echo in echo.roundTrip.map { (x: echo.sentAt, y: $0 * 1000) } }
        var spans: [(name: String, from: Double, to: Double)] = []
        if let began = detection.began, let ended = detection.ended, !detection.signs.isEmpty {
            spans.append(("detected: \(signs)", began, ended))
        }
        if let gap = detection.gap { spans.append(("no reply for \(self.gap)", gap.from, gap.to)) }
        return LinePlot(
            title: "Round trips to \(address) (suspected move shaded)",
            yLabel: "milliseconds",
            yMaximum: max(1, (shown.map(\.y).sorted().quantile(0.995) ?? 1) * 1.2),
            lines: [.init(name: "RTT", points: shown)],
            spans: spans,
            formatY: { Units.decimals($0, 1) }
        ).svg
    }
}
