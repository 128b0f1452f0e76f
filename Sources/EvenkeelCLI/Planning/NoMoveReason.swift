// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The reasons why a plan has no move.
enum NoMoveReason: Equatable {
    case noVM
    case noActiveHost
    case oneHost
    case timeBudget
    /// Overload remains because aggressiveness is 1.
    case overloadIsLeft
    case nothingHelps(Strategy, hasRefusals: Bool)
    /// Every VM that should leave its host is tied to it; the reasons of the first of them.
    case nothingCanMove(CannotMove, vms: Int)
    /// Some hosts have no usable samples yet.
    case figuresIncomplete
    case noOverload
    case noHostCanBeEmptied
    case noGain(aggressiveness: Int)

    /// The reason's stable code, for programs.
    var code: String {
        switch self {
        case .noVM: "no-vm"
        case .noActiveHost: "no-active-host"
        case .oneHost: "one-host"
        case .timeBudget: "time-budget"
        case .overloadIsLeft: "overload-is-left"
        case .nothingHelps: "nothing-helps"
        case .nothingCanMove: "nothing-can-move"
        case .figuresIncomplete: "figures-incomplete"
        case .noOverload: "no-overload"
        case .noHostCanBeEmptied: "no-host-can-be-emptied"
        case .noGain: "no-gain"
        }
    }

    /// Determines the reason for a plan without moves.
    init(_ plan: Plan, _ model: FleetModel, _ planning: PlanningPolicy) {
        let active = model.hosts.count { $0.mode == .active }
        let notCounted: [Judgement.Verdict] = [.settling, .unknown, .distrusted, .blocked]
        if model.vms.isEmpty {
            self = .noVM
        } else if active == 0 {
            self = .noActiveHost
        } else if active == 1, model.hosts.count == 1 {
            self = .oneHost
        } else if plan.wasCutShort {
            self = .timeBudget
        } else if plan.before.violations > 0 || plan.before.contendedHosts > 0 {
            if let (reasons, vms) = Self.immovable(plan) {
                self = .nothingCanMove(reasons, vms: vms)
                return
            }
            let isHandsOff = planning.strategy == .balance && planning.aggressiveness == 1
            self =
                isHandsOff && plan.before.violations == 0
                ? .overloadIsLeft : .nothingHelps(planning.strategy, hasRefusals: !plan.refusals.isEmpty)
        } else if plan.judgements.contains(where: { notCounted.contains($0.verdict) }) {
            self = .figuresIncomplete
        } else {
            switch planning.strategy {
            case .threshold, .push, .pull, .pushPull: self = .noOverload
            case .consolidate: self = .noHostCanBeEmptied
            case .balance: self = .noGain(aggressiveness: planning.aggressiveness)
            }
        }
    }

    /// Returns the first VM's reasons and the number of VMs if the plan refuses VMs only because they cannot move.
    private static func immovable(_ plan: Plan) -> (CannotMove, vms: Int)? {
        let reasons = plan.refusals.map { refusal -> CannotMove? in
            switch refusal.reason {
            case .stays(.cannotMove(let reasons)), .breaksRules(_, because: .stays(.cannotMove(let reasons))): reasons
            default: nil
            }
        }
        guard let first = reasons.first, let first, !reasons.contains(nil) else { return nil }
        return (first, reasons.count)
    }
}
