// SPDX-License-Identifier: Apache-2.0
import Fleet

extension AgentCore.Announcement {
    public var text: String {
        switch self {
        case .reportRefused: "cannot write a report to the ledger"
        case .duplicate(let order, let vm, let failure): "order \(order): two copies of \(vm): \(failure.text)"
        case .returned(let order, let vm, let failure): "order \(order): \(vm) is back on its source: \(failure.text)"
        case .runsAfterEnd(let order, let vm, let host):
            "order \(order): \(vm) runs on \(host), although the order had failed"
        case .vmIsGone(let order, let vm, let host):
            "order \(order): \(vm) was started on \(host) and is gone: check whether it was shut down"
        case .definitionNotConfirmed(let order, let vm, let target):
            "order \(order): \(target) has not confirmed that the definition of \(vm) is on its disk. If \(target) loses power "
                + "and 'virsh dominfo \(vm)' knows it no more there, run 'evenkeel definitions restore \(vm)'"
        case .definitionNotRemoved(let order, let vm, let host, let detail):
            "order \(order): cannot remove the definition of \(vm) on \(host): \(detail). \(vm) is active on the order's "
                + "source: run 'virsh undefine --keep-nvram --keep-tpm \(vm)' on \(host)"
        case .autostartLost(let order, let vm, .placeUnknown):
            "order \(order): \(vm) starts with no host until the agent finds it: autostart is off during a move. If you decide "
                + "where it runs, run 'virsh autostart' there"
        case .autostartLost(let order, let vm, .notRecorded):
            "order \(order): the ledger no longer shows whether \(vm) starts with its host, and its move has turned that off: if "
                + "it should, run 'virsh autostart' where it is"
        case .autostartLost(let order, let vm, .notTakenOver(let target)):
            "order \(order): \(vm) does not start with \(target), whose agent is of an earlier version: run 'virsh "
                + "autostart' there, and update the agent"
        case .copyNotRemoved(let order, let vm, let host, let detail): "order \(order): \(vm) on \(host): \(detail)"
        }
    }
}
