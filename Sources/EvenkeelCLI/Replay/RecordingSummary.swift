// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import FleetFiles
import Foundation

/// The contents of a recording, whatever the result of its replay.
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
    /// Number of messages that the controller or the agent logged.
    var announcements = 0
    /// Number of reports that an agent wrote to the ledger; a controller writes none.
    var reports = 0
    /// Whether the last line is incomplete, and was ignored.
    var isTorn: Bool

    init(_ recording: Recording) {
        core = recording.header.core
        host = recording.header.host
        isTorn = recording.isTorn
    }

    mutating func count(_ effects: [some EffectDescription], at clock: ReplayClock) {
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
        var lines = ["Recording of \(whose): \(span), \(Units.count(events, "event"))."]
        lines.append(
            core == .controller
                ? "\(Units.count(orders.count, "order")), \(Units.count(announcements, "log message"))."
                : "\(Units.count(orders.count, "move")) started, \(Units.count(reports, "report")), "
                    + "\(Units.count(announcements, "log message"))."
        )
        if isTorn {
            lines.append("The last line is incomplete, because of a killed process or a full disk, and was ignored.")
        }
        return lines.joined(separator: "\n")
    }

    private var span: String {
        guard let begins, let ends else { return "empty" }
        return "\(begins.readable) to \(ends.readable) (\((ends - begins).readable))"
    }
}

extension Duration {
    /// The duration as text: `1 h 4 min`, `4 min 5 s`, `5 s`.
    fileprivate var readable: String {
        let seconds = Int(inSeconds.rounded())
        if seconds >= 3600 { return "\(seconds / 3600) h \(seconds % 3600 / 60) min" }
        return seconds >= 60 ? "\(seconds / 60) min \(seconds % 60) s" : "\(seconds) s"
    }
}
