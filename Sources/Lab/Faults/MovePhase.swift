// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// A phase of a move, in the order in which moves pass them.
public enum MovePhase: String, Sendable, Codable, CaseIterable {
    /// The source has accepted the order; the target has not consented yet.
    case accepted
    /// The target has consented; its gates are open.
    case prepared
    /// The ledger shows the move as running, and no memory as sent: the next report follows within 2 s.
    case begun
    /// Memory is being sent while the VM runs.
    case copying
    /// The VM is paused at the source and does not run at the target yet.
    case switchOver = "switch-over"
    /// Of a sealed move: libvirt writes the image.
    case saving
    /// Of a sealed move: the image is on the shared storage.
    case handedOver = "handed-over"
    /// Of a sealed move: the source has released the image.
    case restoring
    /// The VM runs at the target; the source has not reported the end.
    case moved

    var isOfSealedMove: Bool { [.saving, .handedOver, .restoring].contains(self) }
    var isOfLiveMove: Bool { [.begun, .copying, .switchOver].contains(self) }
}

/// What a fault has struck.
enum FaultHit: Sendable, Equatable {
    /// The move, in the cell's phase.
    case inPhase
    /// The move in another phase; `nil`: before the first.
    case otherPhase(MovePhase?)
    /// Something, after the order's end.
    case afterEnd
    /// Nothing: the process that should fail did not run.
    case nothing
}

/// What is known of a move under way.
struct MoveTrace: Sendable, Equatable {
    let channel: Channel
    /// The reports on its order, in the ledger's order.
    var reports: [OrderReport] = []
    /// Whether the order's image is in the source's memory.
    var hasImage = false
    /// Whether the source's libvirt has paused the VM for the migration.
    var isSuspended = false
    /// Whether the target's libvirt has resumed the VM.
    var runsAtTarget = false

    /// Whether the order has ended.
    var hasEnded: Bool { reports.contains { $0.step.isFinal } }

    /// The last phase that the move has reached; `nil` before the first.
    var phase: MovePhase? {
        var reached: MovePhase?
        func reach(_ phase: MovePhase) { if reached.map({ $0.rank < phase.rank }) ?? true { reached = phase } }
        for report in reports {
            switch report.step {
            case .accepted: reach(.accepted)
            case .prepared: reach(.prepared)
            case .running(let progress):
                reach(.begun)
                if channel != .sealed, progress.bytesTransferred > 0 { reach(.copying) }
            case .sealed: reach(.handedOver)
            case .released: reach(.restoring)
            case .restored: reach(.moved)
            case .opened, .withdrawn, .declined, .asked, .answered, .done, .failed, .notUnderstood: break
            }
        }
        if channel == .sealed {
            if hasImage, let now = reached, now.rank >= MovePhase.begun.rank { reach(.saving) }
        } else if isSuspended {
            reach(.switchOver)
        }
        if runsAtTarget { reach(.moved) }
        return reached
    }

    /// Returns what a fault at this moment strikes if it is meant for a phase.
    func hit(_ phase: MovePhase) -> FaultHit {
        hasEnded ? .afterEnd : self.phase == phase ? .inPhase : .otherPhase(self.phase)
    }

    enum Standing: Sendable, Equatable { case ahead, reached, passed }

    /// Returns whether the phase is still ahead, is the present one, or is over.
    func standing(of phase: MovePhase) -> Standing {
        if hasEnded { return .passed }
        guard let now = self.phase else { return .ahead }
        return now == phase ? .reached : now.rank < phase.rank ? .ahead : .passed
    }
}

extension MovePhase {
    fileprivate var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
