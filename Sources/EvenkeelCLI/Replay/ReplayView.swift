// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import FleetFiles

/// Compares the effects in a recording with those of the current core for the same events.
struct ReplayView<C: Core>: Encodable where C.Effect: EffectDescription {
    /// An event whose effects differ.
    struct Difference: Encodable {
        var event: Int
        var line: Int
        var at: Instant?
        var recorded: [C.Effect]
        var now: [C.Effect]
    }

    var recording: RecordingSummary
    var isSame: Bool
    /// The total number of events whose effects differ.
    var differenceCount: Int
    /// The first of these events.
    var differences: [Difference]

    init(of file: Recording, _ core: C) throws(FleetFileError) {
        var summary = RecordingSummary(file)
        var replay = Replay(core)
        try file.forEach(of: C.self) { step in
            replay.take(step)
            summary.count(step.effects, at: replay.clock)
        }
        recording = summary
        differenceCount = replay.differenceCount
        isSame = differenceCount == 0
        differences = replay.differences.map {
            // The header precedes the first event's line.
            Difference(event: $0.event, line: $0.event + 1, at: $0.at, recorded: $0.recorded, now: $0.now)
        }
    }
}

extension ReplayView: TextView {
    var text: String {
        var parts = [recording.text]
        if !recording.orders.isEmpty { parts.append(orderTable) }
        guard !isSame else {
            return (parts + ["Replay identical."]).joined(separator: "\n\n")
        }
        let events = Units.count(recording.events, "event")
        let shown = differenceCount > differences.count ? "; the first \(differences.count):" : ":"
        parts.append("Replay differs in \(differenceCount) of \(events)\(shown)")
        parts += differences.map(\.text)
        return parts.joined(separator: "\n\n")
    }

    private var orderTable: String {
        TextTable(
            ["TIME", "VM", "FROM", "TO", "REASON"],
            recording.orders.map { $0.cells },
            empty: ""
        ).text
    }
}

extension ReplayView.Difference {
    fileprivate var text: String {
        var (then, now) = (recorded.map(\.text), now.map(\.text))
        if then == now {
            // The effects differ in a detail that the descriptions omit.
            then = recorded.map(Self.json)
            now = self.now.map(Self.json)
        }
        let lines = (["event \(event) (line \(line))"] + (at.map { [$0.readable] } ?? [])).joined(separator: ", ")
        return ([lines] + Self.lines("recorded", then) + Self.lines("now", now)).joined(separator: "\n")
    }

    private static func lines(_ label: String, _ words: [String]) -> [String] {
        let column = "  " + (label + ":").padded(to: 10)
        return words.isEmpty ? [column + "nothing"] : words.map { column + $0 }
    }

    private static func json(_ effect: C.Effect) -> String {
        (try? jsonText(effect, isPretty: false)) ?? effect.text
    }
}

extension RecordingSummary.Order {
    /// The table cells: time, VM, source, target and reason.
    var cells: [String] {
        [
            at?.readable ?? "?", order.vmName, order.source.rawValue, order.target.rawValue, order.reason,
        ]
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
