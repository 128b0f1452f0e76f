// SPDX-License-Identifier: Apache-2.0
import Fleet

extension NoMoveReason: CustomStringConvertible {
    var description: String {
        switch self {
        case .noVM: "there are no VMs"
        case .noActiveHost: "no host is active"
        case .oneHost: "there is only one host"
        case .timeBudget: "the search reached its time budget before it found a move; increase --time-budget"
        case .overloadIsLeft: "aggressiveness 1 does not resolve overload"
        case .nothingHelps(let strategy, let hasRefusals):
            "strategy \(strategy.rawValue) finds no move that helps"
                + (hasRefusals ? "; the reasons are listed below" : "")
        case .nothingCanMove(let reasons, let vms):
            "nothing can move, because " + reasons.text
                + (vms > 1 ? "; the reasons of all \(vms) VMs are listed below" : "")
        case .figuresIncomplete: "no host is known to be overloaded; some hosts have no usable samples yet"
        case .noOverload: "no host is overloaded"
        case .noHostCanBeEmptied: "no host can be emptied within the thresholds"
        case .noGain(let level):
            "no host is overloaded, and no move is worth its cost" + (level < 5 ? " at aggressiveness \(level)" : "")
        }
    }
}
