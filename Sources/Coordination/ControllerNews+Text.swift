// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

extension ControllerNews: CustomStringConvertible {
    public var description: String {
        switch self {
        case .inControl(let hosts, let orders): "in control: the ledger has \(hosts) hosts and \(orders) orders"
        case .lostControl(let reason): "gives no more orders: \(reason)"
        case .judged(let judgement): "\(judgement.host) is \(judgement.verdict.rawValue): \(judgement.reason)"
        case .doubted(let doubt): "\(doubt)"
        case .runningTwice(let twice): "\(twice)"
        case .refused(let host, _, let vmName, let reason):
            "\(vmName.map { "\($0) stays on \(host)" } ?? "\(host) is not relieved further"): \(reason)"
        case .noChannel(_, let vmName, let reason): "\(vmName) stays on \(reason.path.source): \(reason)"
        case .planned(let intent, _, let vmName, let path, let reason):
            "\(intent) \(Self.move(vmName, path)): \(reason)"
        case .moved(let vmName, let path): "moved \(Self.move(vmName, path))"
        case .notMoved(let vmName, let path, .some(let failure)) where failure.whereabouts == .at(path.target):
            "\(vmName) is on \(path.target), although its move from \(path.source) had failed: \(failure.text)"
        case .notMoved(let vmName, let path, .some(let failure)) where failure.kind == .inDoubt:
            "the end of moving \(Self.move(vmName, path)) is in doubt: \(failure.text)"
        case .notMoved(let vmName, let path, let failure):
            "failed to move \(Self.move(vmName, path)): \(failure?.text ?? "no reason reported")"
        case .expired(let order, let vmName, let path, let isAccepted):
            "failed to move \(Self.move(vmName, path)): order \(order) expired before \(path.source) "
                + (isAccepted ? "began it" : "accepted it; check that evenkeel-agent can take orders there")
        case .sourceSilent(let order, let vmName, let path, let limit, let target):
            "order \(order): moving \(Self.move(vmName, path)), but the agent of \(path.source) has been silent for "
                + "more than \(limit.text); \(target.text(order, vmName, path))"
        case .endStated(let order, let vmName, let path, let host, let reason):
            "order \(order): moving \(Self.move(vmName, path)) ended without a report of \(path.source); the VM is on "
                + "\(host): \(reason)"
        case .leaked(let vmName, let path, let closure):
            "LEAK: moving \(Self.move(vmName, path)), the protected path carried less than was sent"
                + (closure.map { "; \($0.text)" } ?? "")
        }
    }

    private static func move(_ vmName: String, _ path: Path) -> String {
        "\(vmName) from \(path.source) to \(path.target)"
    }
}

extension TargetsWord {
    fileprivate func text(_ order: OrderID, _ vmName: String, _ path: Path) -> String {
        switch self {
        case .runs:
            "\(path.target) reports that it runs \(vmName): if \(path.source) does not come back, run "
                + "'evenkeel end \(order) --on \(path.target)'"
        case .absent:
            "\(path.target) reports that it does not have \(vmName): if \(path.source) does not come back, run "
                + "'evenkeel end \(order) --on \(path.source)'"
        case .doesNotRun:
            "\(path.target) reports \(vmName), but does not run it: start the agent of \(path.source), or find out where "
                + "the VM is and run 'evenkeel end \(order) --on HOST'"
        case .unknown:
            "what \(path.target) has is not known: start the agents, or find out where the VM is and run "
                + "'evenkeel end \(order) --on HOST'"
        }
    }
}

extension ControllerNews.Intent: CustomStringConvertible {
    public var description: String {
        switch self {
        case .orders: "move"
        case .recommends: "recommended: move"
        case .wouldOrder: "would move"
        }
    }
}
