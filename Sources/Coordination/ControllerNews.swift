// SPDX-License-Identifier: Apache-2.0
public import Balancing
public import Fleet

/// News that the controller logs for the operator.
public enum ControllerNews: Codable, Sendable, Equatable {
    /// The controller has read the whole ledger for the first time.
    case inControl(hosts: Int, orders: Int)
    /// It gives no more orders, and ends.
    case lostControl(reason: String)
    case judged(Judgement)
    case doubted(Doubt)
    case runningTwice(RunningTwice)
    /// A VM is not moved; if `vm` is `nil`, the host is not relieved.
    case refused(host: HostName, vm: VMID?, vmName: String?, RefusalReason)
    case noChannel(vm: VMID, vmName: String, NoChannel)
    case planned(Intent, vm: VMID, vmName: String, Path, MoveReason)
    case moved(vmName: String, Path)
    case notMoved(vmName: String, Path, OrderFailure?)
    /// An order was not begun in time, and no agent has reported its end.
    case expired(OrderID, vmName: String, Path, isAccepted: Bool)
    /// The source of a running order has been silent for longer than this limit.
    case sourceSilent(OrderID, vmName: String, Path, limit: Duration, target: TargetsWord)
    /// A record has ended an order in place of its source.
    case endStated(OrderID, vmName: String, Path, on: HostName, String)
    /// `closing`: the closure, if the leak has closed a channel that was open.
    case leaked(vmName: String, Path, closing: ClosedChannels.Closure?)

    /// The controller's treatment of a planned move.
    public enum Intent: String, Codable, Sendable {
        case orders
        case recommends
        /// In the mode `advise`.
        case wouldOrder
    }

    public enum Kind: String, Sendable {
        case judgement, refusal, move, ended, leak, twice, distrust, control, silent

        /// Whether an operator must act.
        public var needsOperator: Bool { [.leak, .twice, .distrust, .silent].contains(self) }
    }

    public var kind: Kind {
        switch self {
        case .inControl, .lostControl: .control
        case .judged(let judgement): judgement.verdict == .distrusted ? .distrust : .judgement
        case .doubted: .distrust
        case .runningTwice: .twice
        case .refused, .noChannel: .refusal
        case .planned: .move
        case .moved, .notMoved, .expired, .endStated: .ended
        case .sourceSilent: .silent
        case .leaked: .leak
        }
    }
}

/// The subject of news about a lasting state, which is announced only when it changes.
enum NewsSubject: Hashable {
    case host(HostName)
    case claims(HostName)
    case runningTwice(VMID)
    case relief(HostName)
    case stay(VMID, on: HostName)
    case channel(VMID)
    case move(VMID)
    case order(OrderID)
}

extension ControllerNews {
    /// The subject of the news; `nil` for an event, which is announced each time.
    var subject: NewsSubject? {
        switch self {
        case .judged(let judgement): .host(judgement.host)
        case .doubted(let doubt): .claims(doubt.host)
        case .runningTwice(let twice): .runningTwice(twice.vm)
        case .refused(let host, let vm, _, _): vm.map { .stay($0, on: host) } ?? .relief(host)
        case .noChannel(let vm, _, _): .channel(vm)
        case .planned(.orders, _, _, _, _): nil
        case .planned(_, let vm, _, _, _): .move(vm)
        case .expired(let order, _, _, _), .sourceSilent(let order, _, _, _, _): .order(order)
        case .inControl, .lostControl, .moved, .notMoved, .endStated, .leaked: nil
        }
    }

    /// Returns whether only figures, which change with each sample, differ from earlier news of the same subject.
    func repeats(_ earlier: ControllerNews) -> Bool {
        switch (self, earlier) {
        case (.judged(let now), .judged(let then)):
            // A change between light and calm is no news either.
            now.verdict == then.verdict || now.verdict.hasHeadroom && then.verdict.hasHeadroom
        case (.doubted(let now), .doubted(let then)):
            now.contradictions.map(\.code) == then.contradictions.map(\.code)
        case (.refused(_, _, _, let now), .refused(_, _, _, let then)):
            now.code == then.code && now.obstacleCodes == then.obstacleCodes && now.brokenRules == then.brokenRules
        case (.planned(_, _, _, let now, _), .planned(_, _, _, let then, _)): now.target == then.target
        default: self == earlier
        }
    }
}
