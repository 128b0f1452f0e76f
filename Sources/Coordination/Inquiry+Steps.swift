// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The inquiry as a state machine: it looks, and acts on what was seen and done.
extension Inquiry {
    /// Looks, when it is time to.
    mutating func advance(at instant: Instant) -> [OrderAction] {
        guard !isAsking, instant >= nextLook else { return [] }
        isAsking = true
        nextLook = instant + interval(at: instant)
        return [.effect(.look(order))]
    }

    mutating func looked(_ sighting: Sighting, _ context: OrderContext) -> [OrderAction] {
        isAsking = false
        var conclusion = conclusion(from: sighting, host: context.host)
        if context.mutations.contains(.resumesBlindly), sighting.here == .seen(.pausedByMigration) {
            conclusion = .remedy(.resume, words: "blindly")
        }
        if context.mutations.contains(.sparesTwins), conclusion == .remedy(.pause, words: "") {
            conclusion = .stayed(nil)
        }
        if cause == .failed { return sought(conclusion, there: sighting.there) }
        if case .stayed = conclusion, sighting.here == .seen(.running), context.now < quietUntil { return [] }
        switch conclusion {
        case .stayed(let words):
            let isSilent = if case .silent = sighting.there { true } else { false }
            return stayed(words, context) + (isSilent ? [.seekDuplicate] : [])
        case .moved(let words): return [moved(words, context)]
        case .inDoubt(let words): return conclude(failure(.inDoubt, words, runsOn: nil))
        case .remedy(let remedy, let words): return apply(remedy, words)
        case .stillMoving:
            openSince = context.now
            // The driver has given it up; its limits hold all the same.
            return cause == .restart ? [] : [.cancelMigration]
        case .open(let words): return leaveOpen(words, context)
        }
    }

    mutating func applied(_ result: Remedy.Result, _ context: OrderContext) -> [OrderAction] {
        guard let (remedy, words) = remedy else { return [] }
        isAsking = false
        self.remedy = nil
        let (vm, host, target) = (order.vmName, context.host, order.target)
        switch (remedy, result) {
        case (.discard, .done): return [moved(words, context)]
        case (.resume, .done): return stayed(words, context)
        case (.resume, .refused(let reason)):
            let words = "\(vm) is paused on \(host) and not known to \(target): \(reason)"
            return conclude(failure(.inDoubt, words, runsOn: nil))
        case (.pause, .done):
            let words =
                "\(vm) ran on both \(host) and \(target), so the copy on \(host) was paused: check the VM's disks, "
                + "then 'virsh destroy' the copy that is to go"
            return conclude(failure(.inDoubt, words, runsOn: target))
        case (.pause, .refused(let reason)):
            let words = "\(vm) RUNS ON BOTH \(host) and \(target): stop one of the two at once (\(reason))"
            return conclude(failure(.inDoubt, words, runsOn: nil))
        case (_, .notSo(let reason)), (_, .failed(let reason)), (.discard, .refused(let reason)):
            return leaveOpen(reason, context)
        }
    }

    private mutating func apply(_ remedy: Remedy, _ words: String) -> [OrderAction] {
        isAsking = true
        self.remedy = (remedy, words)
        return [.effect(.apply(remedy, order))]
    }

    // MARK: ends

    /// Whether a failed move left a second copy: asked until the target answers.
    private mutating func sought(_ conclusion: Conclusion, there: Sighting.Standing) -> [OrderAction] {
        switch (conclusion, there) {
        case (.remedy(.pause, _), _): apply(.pause, "")
        case (_, .silent): []
        default: [.finish]
        }
    }

    private func stayed(_ words: String?, _ context: OrderContext) -> [OrderAction] {
        let place = "\(order.vmName) is on \(context.host)"
        let kind: OrderFailure.Kind = cause == .restart ? .interrupted : .migration
        return conclude(failure(kind, words.map { "\(place); \($0)" } ?? place, runsOn: context.host))
    }

    private func moved(_ words: String, _ context: OrderContext) -> OrderAction {
        let outcome = MigrationOutcome(startedAt: startedAt, endedAt: context.now, note: "\(doubt); \(words)")
        let verdict: Evidence.Verdict = order.channel == .plain ? .unprotected : .unknown
        let evidence = Evidence(channel: order.channel, verdict: verdict)
        return .end(.success(AgentCore.Completion(outcome: outcome, evidence: evidence)))
    }

    private func leaveOpen(_ words: String, _ context: OrderContext) -> [OrderAction] {
        let doubt = context.limits.doubt
        guard cause != .failed, context.now - openSince > doubt else { return [] }
        let words = "\(words); this has been so for \(doubt): look on both hosts and run the VM on one"
        return conclude(failure(.inDoubt, words, runsOn: nil))
    }

    private func failure(_ kind: OrderFailure.Kind, _ words: String, runsOn: HostName?) -> OrderFailure {
        var failure = OrderFailure(kind: kind, reason: "\(doubt); \(words)", runsOn: runsOn)
        if case .lostAnswer(let first) = cause { failure.evidence = first.evidence }
        return failure
    }

    /// Reports the end, or says it to the people who watch where the order had ended before.
    private func conclude(_ failure: OrderFailure) -> [OrderAction] {
        guard cause == .failed else { return [.end(.failure(failure))] }
        let text = "order \(order.id): two copies of \(order.vmName): \(failure.reason)"
        return [.finish, .effect(.say(text, isGrave: true))]
    }
}
