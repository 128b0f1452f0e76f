// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

extension ControllerNews: CustomStringConvertible {
    public var description: String {
        switch self {
        case .inControl(let hosts, let orders): "in control: the ledger has \(hosts) hosts and \(orders) orders"
        case .judged(let judgement): "\(judgement.host) is \(judgement.verdict.rawValue): \(judgement.reason)"
        case .doubted(let doubt): "\(doubt)"
        case .runningTwice(let twice): "\(twice)"
        case .refused(let host, _, let vmName, let reason):
            "\(vmName.map { "\($0) stays on \(host)" } ?? "\(host) is not relieved further"): \(reason)"
        case .noChannel(_, let vmName, let reason): "\(vmName) stays on \(reason.path.source): \(reason)"
        case .planned(let intent, _, let vmName, let path, let reason):
            "\(intent) \(Self.move(vmName, path)): \(reason)"
        case .moved(let vmName, let path): "moved \(Self.move(vmName, path))"
        case .notMoved(let vmName, let path, let failure):
            "failed to move \(Self.move(vmName, path)): \(failure?.text ?? "no reason reported")"
        case .leaked(let vmName, let path, let closure):
            "LEAK: moving \(Self.move(vmName, path)), the protected path carried less than was sent"
                + (closure.map { "; \($0.text)" } ?? "")
        }
    }

    private static func move(_ vmName: String, _ path: Path) -> String {
        "\(vmName) from \(path.source) to \(path.target)"
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
