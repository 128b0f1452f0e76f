// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Finding out where the VM of an order is whose end was not seen.
extension AgentCore {
    /// Looks, when it is time to.
    mutating func inquire(_ id: OrderID, at instant: Instant, effects: inout [Effect]) {
        guard let inquiry = inquiries[id], !inquiry.isAsking, instant >= inquiry.nextLook else { return }
        inquiries[id]?.isAsking = true
        inquiries[id]?.nextLook = instant + inquiry.interval(at: instant)
        effects.append(.look(inquiry.order))
    }

    mutating func looked(_ id: OrderID, _ sighting: Sighting, at instant: Instant, effects: inout [Effect]) {
        guard var inquiry = inquiries[id] else { return }
        inquiry.isAsking = false
        var conclusion = inquiry.conclusion(from: sighting, host: host)
        if mutations.contains(.resumesBlindly), sighting.here == .seen(.pausedByMigration) {
            conclusion = .remedy(.resume, words: "blindly")
        }
        if mutations.contains(.sparesTwins), conclusion == .remedy(.pause, words: "") { conclusion = .stayed(nil) }
        if inquiry.cause == .failed {
            sought(inquiry, conclusion, sighting: sighting, effects: &effects)
            return
        }
        if case .stayed = conclusion, sighting.here == .seen(.running), instant < inquiry.quietUntil {
            inquiries[id] = inquiry
            return
        }
        switch conclusion {
        case .stayed(let words): stayed(inquiry, words, sighting: sighting, at: instant, effects: &effects)
        case .moved(let words): moved(inquiry, words, at: instant, effects: &effects)
        case .inDoubt(let words):
            conclude(inquiry, failure(inquiry, .inDoubt, words, runsOn: nil), at: instant, effects: &effects)
        case .remedy(let remedy, let words):
            inquiry.isAsking = true
            inquiry.remedy = (remedy, words)
            inquiries[id] = inquiry
            effects.append(.apply(remedy, inquiry.order))
        case .stillMoving:
            inquiry.openSince = instant
            inquiries[id] = inquiry
            // The driver has given it up; its limits hold all the same.
            if inquiry.cause != .restart, cancelling.insert(id).inserted {
                effects.append(.cancelMigration(inquiry.order))
            }
        case .open(let words): leaveOpen(inquiry, words, at: instant, effects: &effects)
        }
    }

    mutating func applied(_ id: OrderID, _ result: Remedy.Result, at instant: Instant, effects: inout [Effect]) {
        guard var inquiry = inquiries[id], let (remedy, words) = inquiry.remedy else { return }
        inquiry.isAsking = false
        inquiry.remedy = nil
        let (vm, target) = (inquiry.order.vmName, inquiry.order.target)
        switch (remedy, result) {
        case (.discard, .done): moved(inquiry, words, at: instant, effects: &effects)
        case (.resume, .done): stayed(inquiry, words, sighting: nil, at: instant, effects: &effects)
        case (.resume, .refused(let reason)):
            let words = "\(vm) is paused on \(host) and not known to \(target): \(reason)"
            conclude(inquiry, failure(inquiry, .inDoubt, words, runsOn: nil), at: instant, effects: &effects)
        case (.pause, .done):
            let words =
                "\(vm) ran on both \(host) and \(target), so the copy on \(host) was paused: check the VM's disks, "
                + "then 'virsh destroy' the copy that is to go"
            conclude(inquiry, failure(inquiry, .inDoubt, words, runsOn: target), at: instant, effects: &effects)
        case (.pause, .refused(let reason)):
            let words = "\(vm) RUNS ON BOTH \(host) and \(target): stop one of the two at once (\(reason))"
            conclude(inquiry, failure(inquiry, .inDoubt, words, runsOn: nil), at: instant, effects: &effects)
        case (_, .notSo(let reason)), (_, .failed(let reason)), (.discard, .refused(let reason)):
            leaveOpen(inquiry, reason, at: instant, effects: &effects)
        }
    }

    // MARK: ends

    /// Whether a failed move left a second copy: asked until the target answers.
    private mutating func sought(
        _ inquiry: Inquiry,
        _ conclusion: Conclusion,
        sighting: Sighting,
        effects: inout [Effect]
    ) {
        let id = inquiry.order.id
        switch (conclusion, sighting.there) {
        case (.remedy(.pause, _), _):
            inquiries[id] = inquiry
            inquiries[id]?.isAsking = true
            inquiries[id]?.remedy = (.pause, "")
            effects.append(.apply(.pause, inquiry.order))
        case (_, .silent): inquiries[id] = inquiry
        default: inquiries[id] = nil
        }
    }

    private mutating func stayed(
        _ inquiry: Inquiry,
        _ words: String?,
        sighting: Sighting?,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let place = "\(inquiry.order.vmName) is on \(host)"
        let kind: OrderFailure.Kind = inquiry.cause == .restart ? .interrupted : .migration
        let failure = failure(inquiry, kind, words.map { "\(place); \($0)" } ?? place, runsOn: host)
        conclude(inquiry, failure, at: instant, effects: &effects)
        if case .silent? = sighting?.there { seekTwin(of: inquiry.order.id, at: instant) }
    }

    private mutating func moved(_ inquiry: Inquiry, _ words: String, at instant: Instant, effects: inout [Effect]) {
        let outcome = MigrationOutcome(
            startedAt: inquiry.startedAt,
            endedAt: instant,
            note: "\(inquiry.doubt); \(words)"
        )
        let channel = inquiry.order.channel
        let evidence = Evidence(channel: channel, verdict: channel == .plain ? .unprotected : .unknown)
        end(inquiry.order.id, .success(Completion(outcome: outcome, evidence: evidence)), at: instant)
    }

    private mutating func leaveOpen(
        _ inquiry: Inquiry,
        _ words: String,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let id = inquiry.order.id
        inquiries[id] = inquiry
        guard inquiry.cause != .failed, instant - inquiry.openSince > limits.doubt else { return }
        let words = "\(words); this has been so for \(limits.doubt): look on both hosts and run the VM on one"
        conclude(inquiry, failure(inquiry, .inDoubt, words, runsOn: nil), at: instant, effects: &effects)
    }

    private func failure(
        _ inquiry: Inquiry,
        _ kind: OrderFailure.Kind,
        _ words: String,
        runsOn: HostName?
    ) -> OrderFailure {
        var failure = OrderFailure(kind: kind, reason: "\(inquiry.doubt); \(words)", runsOn: runsOn)
        if case .lostAnswer(let first) = inquiry.cause { failure.evidence = first.evidence }
        return failure
    }

    /// Reports the end, or says it to the people who watch where the order had ended before.
    private mutating func conclude(
        _ inquiry: Inquiry,
        _ failure: OrderFailure,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        if inquiry.cause == .failed {
            inquiries[inquiry.order.id] = nil
            let text = "order \(inquiry.order.id): two copies of \(inquiry.order.vmName): \(failure.reason)"
            effects.append(.say(text, isGrave: true))
        } else {
            end(inquiry.order.id, .failure(failure), at: instant)
        }
    }

    /// Asks whether a move that failed left a second copy at the target.
    mutating func seekTwin(of id: OrderID, at instant: Instant) {
        guard let life = orders[id] else { return }
        inquiries[id] = Inquiry(.failed, of: life, at: instant)
    }
}
