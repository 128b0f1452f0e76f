// SPDX-License-Identifier: Apache-2.0

/// Stable codes of reasons, for programs.
extension FailureReason {
    public var code: String {
        switch self {
        case .order(let obstacle): obstacle.code
        case .preflight: "preflight"
        case .move(let trouble): trouble.code
        case .inquiry(_, let finding): finding.code
        case .sealed(let sealing): sealing.code
        case .other: "other"
        }
    }
}

extension FailureReason.Obstacle {
    var code: String {
        switch self {
        case .agentRestarted: "agent-restarted"
        case .cancelled: "cancelled"
        case .endedForSource: "ended-for-source"
        case .expiredUnseen: "expired-unseen"
        case .expiredWaiting: "expired-waiting"
        case .tooEarly: "too-early"
        case .sourceSilent: "source-silent"
        case .targetSilent: "target-silent"
        case .channelClosed: "channel-closed"
        case .wrongTechnique: "wrong-technique"
        case .sameHost: "same-host"
        case .vmIsMoving: "vm-is-moving"
        case .vmIsSearched: "vm-searched"
        case .newerOrder: "newer-order"
        case .pathInUse: "path-in-use"
        case .digestUnknown: "digest-unknown"
        case .definitionNotNamed: "definition-not-named"
        case .definitionChanged: "definition-changed"
        case .noSealingKey: "no-sealing-key"
        case .handedBack: "handed-back"
        case .ledgerNotWritten: "ledger-not-written"
        case .begunBefore: "begun-before"
        case .beginningNotNoted: "beginning-not-noted"
        case .beginningNotMarked: "beginning-not-marked"
        case .closuresDamaged: "closures-damaged"
        case .controllerSuperseded: "controller-superseded"
        }
    }
}

extension FailureReason.Trouble {
    var code: String {
        switch self {
        case .noPath: "no-path"
        case .pathLost: "path-lost"
        case .hypervisor: "hypervisor"
        case .reportTooLong: "report-too-long"
        }
    }
}

extension FailureReason.Finding {
    var code: String {
        switch self {
        case .stayed: "stayed"
        case .stayedUnasked: "stayed-target-silent"
        case .resumed: "resumed"
        case .stayedOff: "stayed-off"
        case .pausedHereAndElsewhere: "paused-here-and-elsewhere"
        case .copyHereAndElsewhere: "copy-here-and-elsewhere"
        case .pausedHereInactiveThere: "paused-here-inactive-there"
        case .pausedHereNotResumed: "paused-here-not-resumed"
        case .foundThere: "found-there"
        case .transientThere: "transient-there"
        case .runsHereCopyThere: "runs-here-copy-there"
        case .runsNowhere: "runs-nowhere"
        case .duplicatePaused: "duplicate-paused"
        case .duplicateRuns: "duplicate-runs"
        case .duplicatePausedThere: "duplicate-paused-at-target"
        case .mayRunOnBoth: "may-run-on-both"
        case .undecided: "undecided"
        case .definedThere: "defined-there"
        case .definitionFoundThere: "definition-found-there"
        case .definedNowhere: "defined-nowhere"
        }
    }
}

extension FailureReason.Sealing {
    var code: String {
        switch self {
        case .stayed: "sealed-stayed"
        case .notTakenBack: "sealed-not-taken-back"
        case .beginningUnknown: "sealed-beginning-unknown"
        case .notTakenUp: "sealed-not-taken-up"
        case .malformedKey: "sealed-malformed-key"
        case .noKeyHere: "sealed-no-key"
        case .imageNotOpen: "sealed-image-not-open"
        case .notEncrypted: "sealed-not-encrypted"
        case .notRecalled: "sealed-not-recalled"
        case .vmIs: "sealed-vm-state"
        case .noImage: "sealed-no-image"
        case .definedMeanwhile: "sealed-defined-meanwhile"
        case .mayHaveRun: "sealed-may-have-run"
        case .failed: "sealed-failed"
        }
    }
}
