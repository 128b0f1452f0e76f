// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Waits after a move until the target has confirmed that the VM's definition is on its disk.
///
/// The source has removed its own. libvirt does not sync the target's, and a power cut there would leave the VM defined
/// nowhere. So the order is done only when the target has confirmed it, or after a limited time, with an alert.
extension AgentCore {
    /// Ends an order whose move has succeeded, once the definition is confirmed.
    mutating func confirm(_ id: OrderID, _ completion: Completion, at instant: Instant) {
        // A target of an earlier version does not confirm anything. Of a sealed move, it has synced the definition before. A
        // transient VM has none.
        // A leak must close its channel at once, also if this agent ends.
        guard let state = work[id]?.state, state.confirmsDefinition, state.order.channel != .sealed,
            state.requirements?.isTransient != true,
            completion.evidence.verdict != .leak, !mutations.contains(.endsUnconfirmed)
        else {
            return end(id, .success(completion), at: instant)
        }
        work[id]?.progressWritten = nil
        work[id]?.activity = .confirming(Confirmation(completion, at: instant))
        askForConfirmation(id, at: instant)
    }

    mutating func advanceConfirmation(_ id: OrderID, at instant: Instant, effects: inout [Effect]) {
        guard let item = work[id], case .confirming(let wait) = item.activity else { return }
        if instant - wait.startedAt > Confirmation.limit {
            endConfirmed(id, wait, at: instant)
            let order = item.order
            effects.append(.announce(.definitionNotConfirmed(id, vm: order.vmName, target: order.target)))
        } else if instant >= wait.nextQuestion {
            askForConfirmation(id, at: instant)
        }
    }

    mutating func confirmed(
        _ id: OrderID,
        by answer: Inquiry.Question.Answer,
        to askedAt: Instant,
        at instant: Instant
    ) {
        guard case .confirming(let wait)? = work[id]?.activity, wait.askedAt.contains(askedAt),
            answer.presence != .absent, answer.isPersistent != false
        else { return }
        endConfirmed(id, wait, at: instant)
    }

    private mutating func askForConfirmation(_ id: OrderID, at instant: Instant) {
        guard let order = work[id]?.order, case .confirming(var wait)? = work[id]?.activity else { return }
        wait.ask(at: instant)
        work[id]?.activity = .confirming(wait)
        let question = PresenceQuestion(vm: order.vm, target: order.target, here: .absent, wantsDurable: true)
        report(id, .asked(question: question), at: instant)
    }

    private mutating func endConfirmed(_ id: OrderID, _ wait: Confirmation, at instant: Instant) {
        work[id]?.activity = .idle
        end(id, .success(wait.completion), at: instant)
    }
}

/// A source's wait for the confirmation that its VM's definition is durable at the target.
struct Confirmation: Sendable {
    let completion: AgentCore.Completion
    var startedAt: Instant
    var nextQuestion: Instant
    /// The times of the questions, as their records state them.
    private(set) var askedAt: Set<Instant> = []

    static let limit: Duration = .seconds(20)
    private static let pause: Duration = .seconds(5)

    init(_ completion: AgentCore.Completion, at instant: Instant) {
        self.completion = completion
        startedAt = instant
        nextQuestion = instant
    }

    mutating func ask(at instant: Instant) {
        askedAt.insert(instant)
        nextQuestion = instant + Self.pause
    }

    func shifted(by step: Duration) -> Confirmation {
        var shifted = self
        shifted.startedAt = startedAt + step
        shifted.nextQuestion = nextQuestion + step
        return shifted
    }
}
