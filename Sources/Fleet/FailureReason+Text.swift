// SPDX-License-Identifier: Apache-2.0

extension OrderFailure {
    /// Returns what failed, on what, and the next step.
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
        case .agentRestarted: "the source's agent was restarted before the move began"
        case .cancelled(let reason): "cancelled: \(reason)"
        case .endedForSource(let source, let reason): "ended without a report of \(source): \(reason)"
        case .expiredUnseen: "the order expired before this agent saw it"
        case .expiredWaiting: "the order expired before the move began"
        case .tooEarly(let time): "the order must not begin for another \(time.text): synchronise the clocks"
        case .sourceSilent(let source):
            "its source \(source) sent no further report; the order can no longer begin"
        case .targetSilent(let target, let limit):
            "the agent of \(target) did not answer within \(limit.text): check that evenkeel-agent runs there"
        case .channelClosed(let closed): closed.text
        case .wrongTechnique(let technique, let channel):
            "the order requires \(technique.rawValue), but \(channel.rawValue) moves a VM by "
                + "\(channel.technique.rawValue): order the move again"
        case .sameHost: "source and target are the same host"
        case .vmIsMoving(let order): "order \(order) is already moving the VM"
        case .vmIsSearched(let order):
            "order \(order) may have left a second copy of the VM, and its target has not answered yet: start the agent there"
        case .newerOrder(let order): "there is a newer order for the VM: \(order)"
        case .pathInUse(let order, let target):
            "order \(order) came first on the path to \(target), which carries one move at a time: order the move again"
        case .digestUnknown(let vm):
            "cannot compute the digest of \(vm)'s definition, which the order requires"
        case .definitionNotNamed(let vm):
            "the order contains no definition digest of \(vm), because none was known then: order the move again"
        case .definitionChanged(let vm):
            "\(vm)'s definition changed after the move was ordered: check the change, then order the move again"
        case .noSealingKey(let target): "\(target) provided no key to encrypt the image for"
        case .handedBack(let reason): reason
        case .ledgerNotWritten: "the ledger could not be written in time, so the move was not begun"
        case .begunBefore(let order):
            "this host has begun order \(order) before: the ledger was rolled back or altered; check its storage"
        case .beginningNotNoted(let detail): "not begun, because its journal entry cannot be written: \(detail)"
        case .beginningNotMarked: "not begun, because its source cannot save a mark of the ledger on its disk"
        case .closuresDamaged(let detail): detail
        case .controllerSuperseded(let epoch, let other):
            "another controller had taken over (epoch \(other)) from the one that ordered the move (epoch \(epoch))"
        }
    }
}

extension ClosedByLeak {
    public var text: String {
        "\(channel.rawValue) between \(HostPair(path)) is closed: order \(order) leaked; find the cause, then reopen "
            + "it with 'evenkeel clear \(path.source) \(path.target) --channel \(channel.rawValue)'"
    }
}

extension FailureReason.Trouble {
    public var text: String {
        switch self {
        case .noPath(let target, let vm, let source, let detail):
            "no protected path to \(target), so \(vm) stays on \(source): \(detail)"
        case .pathLost(let detail): "the protected path was lost, so the move was aborted: \(detail)"
        case .hypervisor(let detail): detail
        case .reportTooLong: "the agent's report was too long for the ledger: read it in the agent's log"
        }
    }
}

extension FailureReason.Doubt {
    public var text: String {
        switch self {
        case .agentRestarted: "the agent was restarted during the move"
        case .answerLost(let detail): detail
        case .moveFailed: "the move failed"
        case .returned: "the VM had moved away"
        }
    }
}

extension FailureReason.Finding {
    public var text: String {
        switch self {
        case .stayed(let vm, let source): "\(vm) is on \(source)"
        case .stayedUnasked(let vm, let source, let target, let detail):
            "\(vm) is on \(source); whether \(target) has a copy is unknown (\(detail))"
        case .resumed(let vm, let source, let target):
            "\(vm) is on \(source); \(target) has no copy, so it was resumed"
        case .stayedOff(let vm, let source, let target):
            "\(vm) is on \(source), where it does not run; \(target) has no copy"
        case .copyHereAndElsewhere(let vm, let source, let other):
            "\(source) has a copy of \(vm) that does not run, and \(other) claims to have \(vm), too: check with 'virsh "
                + "list --all' on \(other); if it is not there, run 'evenkeel end ORDER --on \(source)', or resume or "
                + "start it on \(source) with virsh"
        case .pausedHereAndElsewhere(let vm, let source, let other):
            "\(vm) is paused on \(source), and \(other) has it too: find out which copy is newer"
        case .pausedHereInactiveThere(let vm, let source, let target):
            "\(vm) is paused on \(source) and inactive on \(target): if it has run on \(target) since, start it there "
                + "and 'virsh destroy' it on \(source); otherwise 'virsh resume' it on \(source)"
        case .pausedHereNotResumed(let vm, let source, let target, let detail):
            "\(vm) is paused on \(source), absent from \(target), and could not be resumed: \(detail)"
        case .foundThere(let vm, let source, let target):
            "\(vm) runs on \(target) nevertheless; its leftovers on \(source) were removed"
        case .transientThere(let vm, let source, let target):
            "\(vm) is on \(target), where it has no definition, so \(source) keeps its own. Define it on \(target) with 'virsh "
                + "dumpxml' and 'virsh define'. Until it has left \(target), do not start or resume it on \(source)"
        case .runsHereCopyThere(let vm, let source, let target):
            "\(vm) runs on \(source), and \(target) has a copy that does not run but may have run: check the VM's disks, "
                + "then remove the copy on \(target)"
        case .runsNowhere(let vm, let source, let target):
            "\(vm) runs on neither \(source) nor \(target): unless it was shut down, search the other hosts"
        case .duplicatePaused(let vm, let source, let target):
            "\(vm) ran on both \(source) and \(target), so the copy on \(source) was paused: check the VM's disks, "
                + "then remove the copy that you do not keep ('virsh destroy', 'virsh undefine --keep-nvram --keep-tpm')"
        case .duplicateRuns(let vm, let source, let target, let detail):
            "\(vm) RUNS ON BOTH \(source) and \(target): stop one of the two at once (\(detail))"
        case .duplicatePausedThere(let vm, let source, let target):
            "\(vm) ran on \(target) although \(source) has it, so the copy on \(target) was paused: check that it runs on "
                + "\(source) and check its disks, then remove the copy that you do not keep "
                + "('virsh destroy', 'virsh undefine --keep-nvram --keep-tpm')"
        case .mayRunOnBoth(let vm, let source, let target):
            "\(vm) runs on \(target), and \(source) last reported that it runs there: find out whether both run it, and "
                + "stop one of the two at once"
        case .undecided(let detail, let limit):
            "\(detail); unchanged for \(limit.text): check both hosts and run the VM on one of them"
        case .definedThere(let vm, let source, let target):
            "\(vm) is active on \(source), so it stays there; the agent of \(target) removes the VM's definition"
        case .definitionFoundThere(let vm, let source, let target):
            "\(vm) is on \(target) nevertheless; its definition on \(source) was removed"
        case .definedNowhere(let vm, let source, let target):
            "neither \(source) nor \(target) has \(vm): search the other hosts, or restore its definition with "
                + "'evenkeel definitions restore'"
        }
    }
}

extension FailureReason.Sealing {
    public var text: String {
        switch self {
        case .stayed(let vm, let source, let cause): "\(vm) is on \(source): \(cause)"
        case .notTakenBack(let vm, let source, let cause, let detail):
            "\(cause); cannot take \(vm) back (\(detail)): check its state on \(source)"
        case .beginningUnknown(let vm, let source, let presence):
            "the agent was restarted and has no record that the move began, but \(vm) is \(presence) on \(source): "
                + "look for its image before you start it"
        case .notTakenUp(let vm, let source, let target):
            "\(vm) was released to \(target), which has not reported that it runs: if it never ran there, stop the "
                + "agent of \(target), then 'virsh restore' its image on \(source)"
        case .malformedKey(let vm, let source, let target):
            "the key that \(target) provided is malformed, so \(vm) stays on \(source)"
        case .noKeyHere: "this host does not have the key of the VM's image"
        case .imageNotOpen: "this host has no decrypted image of the VM"
        case .notEncrypted(let detail): "cannot encrypt the VM's image: \(detail)"
        case .notRecalled(let order, let detail): "cannot determine how far order \(order) went on this host: \(detail)"
        case .vmIs(let presence, let vm, let host): "\(vm) is \(presence) on \(host)"
        case .noImage(let presence, let vm, let host, let folder):
            "\(vm) is \(presence) on \(host), and there is no image of it in \(folder)"
        case .definedMeanwhile(let vm, let host, let folder):
            "an operator or a program defined \(vm) on \(host) while its memory was saved in \(folder). If it has run "
                + "since, start it from its disks. If not, restore it with 'virsh restore'"
        case .mayHaveRun(let vm):
            "\(vm) may have been started from its image before: check whether it was shut down since"
        case .failed(let detail): detail
        }
    }
}
