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
    public var guest: String
    public var source: HostName?
    public var target: HostName?
    /// What became of the VM after the fault, before the next move; `nil` if it is nothing that may be.
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

    /// For instance `done: vm1 on h2, runs`.
    public var summary: String {
        let what = violations.isEmpty ? outcome?.rawValue ?? notes.last ?? "" : violations.joined(separator: "; ")
        return [end, what].filter { !$0.isEmpty }.joined(separator: ": ")
    }
}

extension FaultObservation.End {
    init?(_ step: OrderStep) {
        switch step {
        case .done: self = .done
        case .failed(let failure):
            let place: HostName? = if case .at(let host) = failure.whereabouts { host } else { nil }
            self = .failed(kind: failure.kind, code: failure.reason.code, at: place)
        default: return nil
        }
    }

    var text: String {
        switch self {
        case .done: "done"
        case .failed(let kind, let code, let at): "\(kind.rawValue) (\(code))" + (at.map { " at \($0)" } ?? "")
        }
    }
}
