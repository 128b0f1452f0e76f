// SPDX-License-Identifier: Apache-2.0
import Fleet

extension AgentCore.Announcement {
    public var text: String {
        switch self {
        case .reportRefused: "a report cannot be written to the ledger"
        case .duplicate(let order, let vm, let failure): "order \(order): two copies of \(vm): \(failure.text)"
        case .runsAfterEnd(let order, let vm, let host):
            "order \(order) had been given up, and \(vm) runs on \(host) all the same"
        case .vmIsGone(let order, let vm, let host):
            "order \(order): \(vm) was let run on \(host) and is not here any more: was it shut down?"
        case .copyNotRemoved(let order, let vm, let host, let detail): "order \(order): \(vm) on \(host): \(detail)"
        }
    }
}
