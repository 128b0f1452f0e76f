// SPDX-License-Identifier: Apache-2.0
import Fleet

extension Explanation: CustomStringConvertible {
    public var description: String {
        switch self {
        case .needs(let vm, let host, let its, let peak, let memory):
            "\(vm) is on \(host) and needs \(cores(its)) (forecast: at most \(cores(peak))) and "
                + "\(byteText(memory)) of memory"
        case .moves(let target, let wave, let purpose, let reason):
            "it moves to \(target) in wave \(wave + 1) (\(purpose.rawValue)): \(reason)"
        case .stays(let reason, let isAfterMoves):
            "it stays\(isAfterMoves ? " (after the moves of the plan)" : ""): \(reason)"
        case .rule(let name, let kind, let isMet):
            "rule \(name) (\(kind.rawValue)) applies to it and will \(isMet ? "" : "not ")be met"
        case .maintenance(let host, let vms): "\(host) is in maintenance: its \(vms) VMs must leave"
        case .inactive(let host, let vms):
            "these VMs of \(host) are off and are not moved: "
                + vms.map { "\($0)".plainText(limit: 120) }.joined(separator: ", ")
        case .failed(let host): "\(host) has failed"
        case .judged(let judgement): "\(judgement.host) is \(judgement.verdict.rawValue): \(judgement.reason)"
        case .leaves(let vm, let target, let reason): "\(vm) moves to \(target): \(reason)"
        case .comes(let vm, let source, let reason): "\(vm) arrives from \(source): \(reason)"
        case .notRelieved(let vm, let reason): "\(vm.map { "\($0) stays" } ?? "it is not relieved"): \(reason)"
        case .nothingGains: "no move from or to this host would gain more than it costs"
        }
    }
}
