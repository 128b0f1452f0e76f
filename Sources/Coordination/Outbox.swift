// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Queues reports for the ledger, written in order and one at a time, with retries.
struct Outbox: Sendable {
    private(set) var waiting: [OrderReport] = []
    /// Whether the first of them is being written.
    private(set) var isWriting = false
    private var nextTry: Instant?
    /// Pause between two attempts while the ledger is unavailable.
    static let pause: Duration = .seconds(2)

    var isEmpty: Bool { waiting.isEmpty }

    mutating func put(_ report: OrderReport) {
        // During an outage, only the newest progress report of each move is kept.
        if report.step.isProgress {
            let kept = isWriting ? 1 : 0
            let older = waiting.dropFirst(kept).filter { !($0.order == report.order && $0.step.isProgress) }
            waiting = waiting.prefix(kept) + older
        }
        waiting.append(report)
    }

    /// The report to be written now, if any.
    mutating func next(at instant: Instant) -> OrderReport? {
        guard !isWriting, let first = waiting.first else { return nil }
        // A clock that was set back must not delay the retry for longer than the pause.
        if let nextTry, instant < nextTry, nextTry - instant <= Self.pause { return nil }
        nextTry = nil
        isWriting = true
        return first
    }

    /// Applies the result of the current write; returns the report if the ledger has it now.
    mutating func ended(_ result: AgentCore.Appended, at instant: Instant) -> OrderReport? {
        guard isWriting, let first = waiting.first else { return nil }
        isWriting = false
        switch result {
        case .written, .unmarked:
            waiting.removeFirst()
            return first
        case .refused:
            waiting.removeFirst()
            if let short = Self.shortened(first) { waiting.insert(short, at: 0) }
        case .failed: nextTry = instant + Self.pause
        }
        return nil
    }

    /// Removes an order's progress reports that are not being written yet.
    mutating func dropProgress(of id: OrderID) {
        let kept = isWriting ? 1 : 0
        waiting =
            waiting.prefix(kept) + waiting.dropFirst(kept).filter { !($0.order == id && $0.step.isProgress) }
    }

    /// Returns a replacement for a report that can never be written: every order must end in a report.
    private static func shortened(_ report: OrderReport) -> OrderReport? {
        guard report.step != tooShort, !report.step.isProgress, !report.step.isOfSearch else { return nil }
        var short = report
        short.step = tooShort
        return short
    }

    private static let tooShort = OrderStep.failed(
        failure: OrderFailure(.inDoubt, .move(.reportTooLong), .unknown)
    )
}

extension OrderStep {
    var isProgress: Bool { if case .running = self { true } else { false } }
}
