// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// How one cell of the fault matrix ended.
public struct FaultResult: Sendable, Codable {
    public enum Verdict: String, Sendable, Codable {
        /// Every rule holds.
        case passed
        /// Every rule holds, and an operator had to act, which the table of expectations allows.
        case passedWithOperator = "operator"
        /// The move was never in the phase when the fault came: nothing is shown.
        case missed
        case broken
    }

    public var cell: FaultCell
    public var verdict: Verdict = .missed
    public var attempts = 0
    /// The phase in which the fault struck; `nil` before the first phase, and if nothing was struck.
    public var phase: MovePhase?
    public var guest: String
    public var source: HostName?
    public var target: HostName?
    /// The state of the VM after the fault, before the next move; `nil` if it is not an allowed outcome.
    public var outcome: FaultOutcome?
    /// The order's end as text.
    public var end = ""
    /// Where the VM was after the fault.
    public var place = ""
    /// The broken rules.
    public var violations: [String] = []
    /// Why phases were missed, and failures that were repeated.
    public var notes: [String] = []
    /// From the repair until every rule about places, definitions and orders held.
    public var settleSeconds: Double?
    /// All attempts, with checks and the move afterwards.
    public var seconds = 0.0

    public init(cell: FaultCell, guest: String) {
        self.cell = cell
        self.guest = guest
    }

    /// Forgets what the previous attempt has shown, except its notes.
    mutating func beginAttempt() {
        attempts += 1
        (phase, source, target, outcome, settleSeconds) = (nil, nil, nil, nil, nil)
        (end, place) = ("", "")
    }

    /// For instance `done: vm1 on h2, runs`.
    public var summary: String {
        let what = violations.isEmpty ? outcome?.rawValue ?? notes.last ?? "" : violations.joined(separator: "; ")
        return [end, what].filter { !$0.isEmpty }.joined(separator: ": ")
    }
}

extension FaultObservation.End {
    init?(_ step: OrderStep) {
        switch step {
        case .done(_, let evidence): self = .done(evidence.verdict)
        case .failed(let failure):
            let place: HostName? = if case .at(let host) = failure.whereabouts { host } else { nil }
            self = .failed(
                kind: failure.kind,
                code: failure.reason.code,
                at: place,
                evidence: failure.evidence?.verdict
            )
        default: return nil
        }
    }

    var text: String {
        switch self {
        // What is expected needs no word.
        case .done(.covered): "done"
        case .done(let evidence): "done, \(evidence.rawValue)"
        case .failed(let kind, let code, let at, _): "\(kind.rawValue) (\(code))" + (at.map { " at \($0)" } ?? "")
        }
    }

    var isDone: Bool { if case .done = self { true } else { false } }
    var isInDoubt: Bool { if case .failed(.inDoubt, _, _, _) = self { true } else { false } }

    /// The verdict about the move's evidence; `nil` if there is none.
    var evidence: Evidence.Verdict? {
        switch self {
        case .done(let verdict): verdict
        case .failed(_, _, _, let verdict): verdict
        }
    }
}
