// SPDX-License-Identifier: Apache-2.0
import Fleet

extension NoMoveReason: CustomStringConvertible {
    var description: String {
        switch self {
        case .noVM: "there is no VM"
        case .noActiveHost: "no host is active: there is nowhere to go"
        case .oneHost: "there is one host alone"
        case .timeBudget: "the time budget was over before a move was found: give more with --time-budget"
        case .overloadIsLeft: "aggressiveness 1 leaves overload as it is"
        case .nothingHelps(let strategy, let hasRefusals):
            "strategy \(strategy.rawValue) finds no move that helps"
                + (hasRefusals ? "; refusals say why each VM stays" : "")
        case .figuresIncomplete:
            "no host lacks anything as far as the figures tell; some hosts' figures do not count yet"
        case .noOverload: "no host is overloaded"
        case .noHostCanBeEmptied: "no host can be emptied within the thresholds"
        case .noGain(let level):
            "no host lacks anything, and no move gains what it costs" + (level < 5 ? " at aggressiveness \(level)" : "")
        }
    }
}
