// SPDX-License-Identifier: Apache-2.0

extension OrderFailure {
    /// What happened, to what, and what to do.
    public var text: String {
        switch reason {
        case .order(let obstacle): obstacle.text
        case .preflight: preflight.map(\.description).joined(separator: "; ")
        case .move(let trouble): trouble.text
        case .inquiry(let doubt, let finding): "\(doubt.text); \(finding.text)"
        case .sealed(let sealing): sealing.text
        case .other(let text): text
        }
    }
}

extension FailureReason.Obstacle {
    public var text: String {
        switch self {
        case .agentRestarted: "the agent was restarted before the move began"
        case .cancelled(let reason): "cancelled: \(reason)"
        case .expiredUnseen: "the order expired before this agent saw it"
        case .expiredWaiting: "the order expired before the move began"
        case .tooEarly(let time): "the order is not to begin for another \(time): are the clocks synchronised?"
        case .sourceSilent(let source):
            "its source, \(source), was not heard of again; the order can no longer begin"
        case .targetSilent(let target, let limit):
            "the agent of \(target) did not answer within \(limit): is evenkeel-agent running there?"
        case .channelClosed(let closed): closed.text
        case .wrongTechnique(let technique, let channel):
            "it asks for \(technique.rawValue), but \(channel.rawValue) moves a VM by "
                + "\(channel.technique.rawValue): give the order again"
        case .sameHost: "source and target are the same host"
        case .vmIsMoving(let order): "order \(order) is moving the VM"
        case .newerOrder(let order): "a newer order for the VM is there, \(order)"
        case .pathInUse(let order, let target):
            "order \(order) is using the path to \(target): one move at a time"
        case .digestUnknown(let vm):
            "the digest of \(vm)'s definition, which the order names, cannot be made here"
        case .definitionNotNamed(let vm):
            "the order names no definition of \(vm): it was given before one was known; give it again"
        case .definitionChanged(let vm):
            "\(vm)'s definition changed since the order was given: look at the change, then order it again"
        case .noSealingKey(let target): "\(target) named no key to encrypt the image for"
        case .handedBack(let reason): reason
        case .ledgerNotWritten: "the ledger could not be written in time, so nothing was begun"
        case .begunBefore(let order):
            "this host has begun order \(order) before; somebody has set the ledger back or changed it"
        case .beginningNotNoted(let detail): "it cannot be noted that the order was begun, so it was not: \(detail)"
        case .closuresDamaged(let detail): detail
        }
    }
}

extension ClosedByLeak {
    public var text: String {
        "\(channel.rawValue) between \(HostPair(path)) is closed: order \(order) leaked; look into it, then "
            + "'evenkeel clear \(path.source) \(path.target) --channel \(channel.rawValue)' opens it"
    }
}

extension FailureReason.Trouble {
    public var text: String {
        switch self {
        case .noPath(let target, let vm, let source, let detail):
            "no protected path to \(target), so \(vm) stays on \(source): \(detail)"
        case .pathLost(let detail): "the protected path was lost, so the move was ended: \(detail)"
        case .hypervisor(let detail): detail
        case .reportTooLong: "the agent's report did not fit into the ledger; the agent's own log has it"
        }
    }
}

extension FailureReason.Doubt {
    public var text: String {
        switch self {
        case .agentRestarted: "the agent was restarted during the move"
        case .answerLost(let detail): detail
        case .moveFailed: "the move had failed"
        }
    }
}

extension FailureReason.Finding {
    public var text: String {
        switch self {
        case .stayed(let vm, let source): "\(vm) is on \(source)"
        case .stayedUnasked(let vm, let source, let target, let detail):
            "\(vm) is on \(source); \(target) could not be asked whether it has a copy (\(detail))"
        case .resumed(let vm, let source, let target):
            "\(vm) is on \(source); \(target) has no copy, so it was resumed"
        case .pausedHereAndElsewhere(let vm, let source, let other):
            "\(vm) is paused on \(source), and \(other) has it too: look which is the newer"
        case .pausedHereInactiveThere(let vm, let source, let target):
            "\(vm) is paused on \(source), and \(target) has it, not active: if it ran there since, start it there "
                + "and 'virsh destroy' it here; else 'virsh resume' it here"
        case .pausedHereNotResumed(let vm, let source, let target, let detail):
            "\(vm) is paused on \(source) and not known to \(target): \(detail)"
        case .runsNowhere(let vm, let source, let target):
            "neither \(source) nor \(target) runs \(vm): if it was not shut down, look for it"
        case .duplicatePaused(let vm, let source, let target):
            "\(vm) ran on both \(source) and \(target), so the copy on \(source) was paused: check the VM's disks, "
                + "then 'virsh destroy' the copy that is to go"
        case .duplicateRuns(let vm, let source, let target, let detail):
            "\(vm) RUNS ON BOTH \(source) and \(target): stop one of the two at once (\(detail))"
        case .undecided(let detail, let limit):
            "\(detail); this has been so for \(limit): look on both hosts and run the VM on one"
        }
    }
}

extension FailureReason.Sealing {
    public var text: String {
        switch self {
        case .stayed(let vm, let source, let cause): "\(vm) is on \(source): \(cause)"
        case .notTakenBack(let vm, let source, let cause, let detail):
            "\(cause); \(vm) cannot be taken back: \(detail): look on \(source)"
        case .beginningUnknown(let vm, let source, let presence):
            "the agent was restarted and knows of no beginning, but \(vm) is \(presence) on \(source): look for its "
                + "image before it is started"
        case .notTakenUp(let vm, let source, let target):
            "\(vm) was let go to \(target), which has not said that it runs there: if it does not and did not, and its "
                + "agent is stopped there, 'virsh restore' its image on \(source)"
        case .malformedKey(let vm, let source, let target):
            "the key that \(target) named is none, so \(vm) stays on \(source)"
        case .noKeyHere: "the key of its image is not here"
        case .imageNotOpen: "its image does not lie open here"
        case .notEncrypted(let detail): "its image was not encrypted: \(detail)"
        case .notRecalled(let order, let detail): "what was done of order \(order) here is not known: \(detail)"
        case .vmIs(let presence, let vm, let host): "\(vm) is \(presence) on \(host)"
        case .noImage(let presence, let vm, let host, let folder):
            "\(vm) is \(presence) on \(host), and \(folder) has no image of it"
        case .mayHaveRun(let vm): "\(vm) may have been let run from its image before: was it shut down since?"
        case .failed(let detail): detail
        }
    }
}
