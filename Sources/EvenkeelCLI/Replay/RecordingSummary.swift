// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import FleetFiles
import Foundation

/// What a recording holds, whatever a replay of it brings.
struct RecordingSummary: Encodable, Sendable {
    /// An order that the controller gave, or a move that the agent began.
    struct Order: Encodable, Sendable {
        var at: Instant?
        var order: MigrationOrder
    }

    var core: RecordingHeader.Kind
    var host: HostName?
    var begins: Instant?
    var ends: Instant?
    var events = 0
    /// Orders that a controller gave, or moves that an agent began.
    var orders: [Order] = []
    /// What a controller announced, or an agent said to the people who watch.
    var announcements = 0
    /// What an agent wrote to the ledger; of a controller, none.
    var reports = 0
    /// Whether the last line is torn, and was left out.
    var isTorn: Bool

    init(_ recording: Recording) {
        core = recording.header.core
        host = recording.header.host
        isTorn = recording.isTorn
    }

    mutating func count(_ effects: [some EffectInWords], at clock: ReplayClock) {
        (begins, ends, events) = (clock.first, clock.last, clock.events)
        for effect in effects {
            switch effect.role {
            case .order(let order): orders.append(Order(at: clock.last, order: order))
            case .announcement: announcements += 1
            case .report: reports += 1
            case .step: break
            }
        }
    }

    var text: String {
        let whose = host.map { "the agent of \($0)" } ?? "a controller"
        var lines = ["A recording of \(whose): \(span), \(Self.count(events, "event"))."]
        lines.append(
            core == .controller
                ? "\(Self.count(orders.count, "order")), \(Self.count(announcements, "announcement"))."
                : "\(Self.count(orders.count, "move")) begun, \(Self.count(reports, "report")), "
                    + "\(Self.count(announcements, "announcement"))."
        )
        if isTorn {
            lines.append("Its last line is torn, as a killed process or a full disk leaves it, and was left out.")
        }
        return lines.joined(separator: "\n")
    }

    private var span: String {
        guard let begins, let ends else { return "no time" }
        return "\(begins.inWords) to \(ends.inWords) (\((ends - begins).inWords))"
    }

    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}

extension Instant {
    /// `2026-05-01T10:00:05Z`.
    var inWords: String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(.iso8601)
    }
}

extension Duration {
    /// `1 h 4 min`, `4 min 5 s`, `5 s`.
    fileprivate var inWords: String {
        let seconds = Int(inSeconds.rounded())
        if seconds >= 3600 { return "\(seconds / 3600) h \(seconds % 3600 / 60) min" }
        return seconds >= 60 ? "\(seconds / 60) min \(seconds % 60) s" : "\(seconds) s"
    }
}
