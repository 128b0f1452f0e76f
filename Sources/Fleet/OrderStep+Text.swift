// SPDX-License-Identifier: Apache-2.0

extension OrderStep {
    /// Text for logs and replays, for example "failed (refused): the VM is not running".
    package var text: String {
        switch self {
        case .accepted: "accepted"
        case .prepared: "prepared"
        case .running(let progress): "running, \(progress.bytesTransferred >> 20) MiB sent"
        case .sealed: "sealed"
        case .opened: "opened"
        case .released: "released"
        case .restored: "restored"
        case .declined(let reason): "declined: \(reason)"
        case .withdrawn(let reason): "withdrawn: \(reason)"
        case .asked(let question): "asked where the VM is, which is \(question.here) here"
        case .answered(let presence, _, let isPersistent):
            "answered: the VM is \(presence) here" + (isPersistent == false ? ", without a definition" : "")
        case .done: "done"
        case .notUnderstood(let step): "not understood: \(step.plainText(limit: 40))"
        case .failed(let failure): "failed (\(failure.kind.rawValue)): \(failure.text)"
        }
    }
}
