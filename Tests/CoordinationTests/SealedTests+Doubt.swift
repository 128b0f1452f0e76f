// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// A sealed move that has ended in doubt is pursued until the place of its VM is known.
extension SealedTests {
    /// Source and target of a released image, after the source has ended the order in doubt.
    private func inDoubt() -> (source: AgentCore, target: AgentCore) {
        let said = Self.beginning + [Self.sealed, Self.opened, Self.released]
        let reason = FailureReason.sealed(.notTakenUp(vm: order.vmName, source: h1, target: h2))
        let end = report("h1", 700, .failed(failure: OrderFailure(.inDoubt, reason, .unknown)))
        var source = core("h1", said)
        _ = source.handle(.recalled(order.id, recollection(begun: true, released: true, .absent)), at: .second(5))
        #expect(source.handle(.report(end), at: .second(700)) == [.look(order)])
        let asked = OrderStep.asked(question: PresenceQuestion(vm: order.vm, target: h2, here: .absent))
        #expect(steps(source.handle(.looked(order.id, .seen(.absent)), at: .second(700))) == [asked], "reported once")
        _ = source.handle(.appended(.written), at: .second(700))
        var target = core("h2", said)
        _ = target.handle(.recalled(order.id, recollection(.absent)), at: .second(5))
        _ = target.handle(.report(end), at: .second(700))
        return (source, target)
    }

    /// Plays a source in doubt, and returns its effects apart from looks and reports.
    private func pursue(
        _ source: inout AgentCore,
        _ seconds: ClosedRange<Int>,
        first: [AgentCore.Effect] = [],
        here: DomainPresence = .absent,
        answers: [String: DomainPresence]
    ) -> [AgentCore.Effect] {
        var others: [AgentCore.Effect] = []
        for second in seconds {
            var due = (second == seconds.lowerBound ? first : []) + source.handle(.tick, at: .second(second))
            while !due.isEmpty {
                let effect = due.removeFirst()
                switch effect {
                case .look: due += source.handle(.looked(order.id, .seen(here)), at: .second(second))
                case .append(let said):
                    due += source.handle(.appended(.written), at: .second(second))
                    guard case .asked(let question) = said.step else { continue }
                    #expect(question == PresenceQuestion(vm: order.vm, target: h2, here: here))
                    for (host, presence) in answers.sorted(by: { $0.key < $1.key }) {
                        let answer = OrderStep.answered(presence: presence, question: said.at)
                        due += source.handle(.report(report(host, second, answer)), at: .second(second))
                    }
                default: others.append(effect)
                }
            }
        }
        return others
    }

    private var takeBack: AgentCore.Effect { .takeBack(order, startsWithHost: false) }

    private func decline(to source: inout AgentCore) -> [AgentCore.Effect] {
        source.handle(.report(report("h2", 5000, .declined(reason: "d"))), at: .second(5000))
    }

    @Test func `a source in doubt takes the VM back after the target has declined and no host has it`() {
        var (source, _) = inDoubt()
        #expect(pursue(&source, 701...1000, answers: ["h2": .absent]) == [], "the target may still restore it")
        let first = decline(to: &source)
        #expect(first == [.look(order)])
        #expect(pursue(&source, 5000...5100, first: first, answers: ["h2": .absent]) == [takeBack])
        let end = steps(source.handle(.restored(order.id, .success(.second(5101))), at: .second(5101)))
        guard case .failed(let failure)? = end.first else {
            Issue.record("the doubt stays: \(end)")
            return
        }
        #expect(failure.whereabouts == .at(h1))
    }

    @Test func `a source in doubt takes nothing back while the target is silent`() {
        var (source, _) = inDoubt()
        let first = decline(to: &source)
        #expect(pursue(&source, 5000...5300, first: first, answers: [:]) == [])
    }

    /// The disks of such a VM may be newer than its image, even after it has gone again.
    @Test(arguments: [DomainPresence.running, .paused, .inactive])
    func `a source in doubt never takes back a VM that another host has had`(_ presence: DomainPresence) {
        var (source, _) = inDoubt()
        #expect(pursue(&source, 701...800, answers: ["h3": presence]) == [])
        let first = decline(to: &source)
        #expect(pursue(&source, 5000...6000, first: first, answers: ["h2": .absent]) == [])
    }

    @Test func `a source in doubt never takes back a VM that was ordered from another host since`() {
        var (source, _) = inDoubt()
        var later = order
        later.id = OrderID("later")
        (later.source, later.target) = (HostName("h3"), HostName("h4"))
        #expect(source.handle(.order(.migrate(order: later)), at: .second(900)) == [])
        let first = decline(to: &source)
        #expect(pursue(&source, 5000...6000, first: first, answers: ["h2": .absent]) == [])
    }

    @Test func `a source in doubt leaves a VM that an operator has defined there`() {
        var (source, _) = inDoubt()
        let first = decline(to: &source)
        #expect(pursue(&source, 5000...6000, first: first, here: .inactive, answers: ["h2": .absent]) == [])
    }

    @Test func `a restarted source in doubt knows from the ledger that another host has had the VM`() {
        for presence in [DomainPresence.absent, .running] {
            var source = AgentCore(host: h1)
            _ = source.handle(.order(.migrate(order: order)), at: .second(1))
            for (host, step) in Self.beginning + [Self.sealed, Self.opened, Self.released, Self.declined] {
                _ = source.handle(.report(report(host, 4, step)), at: .second(5))
            }
            let reason = FailureReason.sealed(.notTakenUp(vm: order.vmName, source: h1, target: h2))
            let end = OrderStep.failed(failure: OrderFailure(.inDoubt, reason, .unknown))
            _ = source.handle(.report(report("h1", 700, end)), at: .second(700))
            let answer = OrderStep.answered(presence: presence, question: .second(701))
            _ = source.handle(.report(report("h3", 702, answer)), at: .second(702))
            #expect(source.handle(.caughtUp, at: .second(800)) == [.recall(order)])
            let recalled = recollection(begun: true, released: true, .absent)
            let first = source.handle(.recalled(order.id, recalled), at: .second(801))
            let effects = pursue(&source, 801...900, first: first, answers: ["h2": .absent])
            #expect(effects == (presence == .absent ? [takeBack] : []))
        }
    }

    /// Its disks may be newer: an operator has to decide.
    @Test func `a source that started the VM from its image before takes nothing back in doubt`() {
        var source = core("h1", Self.beginning + [Self.sealed, Self.withdrawn])
        let reason = FailureReason.sealed(.notTakenUp(vm: order.vmName, source: h1, target: h2))
        let end = OrderStep.failed(failure: OrderFailure(.inDoubt, reason, .unknown))
        let started = recollection(begun: true, started: true, .absent)
        _ = source.handle(.report(report("h1", 700, end)), at: .second(700))
        let first = source.handle(.recalled(order.id, started), at: .second(700))
        #expect(pursue(&source, 700...900, first: first, answers: ["h2": .absent]) == [])
    }

    @Test func `a source in doubt whose attempt fails tries again after ten minutes`() {
        var (source, _) = inDoubt()
        let first = decline(to: &source)
        #expect(pursue(&source, 5000...5100, first: first, answers: ["h2": .absent]) == [takeBack])
        let failure = OrderFailure(.inDoubt, .other("no memory"), .unknown)
        let again = source.handle(.restored(order.id, .failure(failure)), at: .second(5100))
        #expect(pursue(&source, 5101...5690, first: again, answers: ["h2": .absent]) == [])
        #expect(pursue(&source, 5691...5900, answers: ["h2": .absent]) == [takeBack])
    }

    @Test func `a source in doubt ends the order as done once the target runs the VM`() {
        var (source, _) = inDoubt()
        let discard = source.handle(.report(report("h2", 5000, .restored(at: .second(20)))), at: .second(5000))
        #expect(discard == [.apply(.discard, order)])
        let end = steps(source.handle(.applied(order.id, .done), at: .second(5001)))
        #expect(end.last?.isFinal == true)
        #expect(source.orders[order.id]?.stage == .done)
    }

    @Test func `a source in doubt sees that an operator has restored the VM there`() {
        var (source, _) = inDoubt()
        #expect(source.handle(.tick, at: .second(5000)) == [.look(order)])
        let end = source.handle(.looked(order.id, .seen(.running)), at: .second(5000))
        guard case .failed(let failure)? = steps(end).first else {
            Issue.record("the doubt stays: \(end)")
            return
        }
        #expect(failure.whereabouts == .at(h1))
        #expect(source.orders[order.id]?.failure == failure)
        #expect(source.handle(.tick, at: .second(5003)) == [.look(order)], "a second copy may run at the target")
    }

    @Test func `an operator settles a doubt about a sealed move`() {
        var (source, target) = inDoubt()
        let record = OrderRecord.end(id: order.id, on: h2, at: .second(5000), reason: "started there")
        for effects in [
            source.handle(.order(record), at: .second(5000)), target.handle(.order(record), at: .second(5000)),
        ] {
            #expect(!effects.contains(.takeBack(order, startsWithHost: false)) && !effects.contains(.restore(order)))
        }
        #expect(source.orders[order.id]?.stage == .done)
        #expect(source.handle(.tick, at: .second(6000)) == [])
    }

    /// It has crashed before it released the image, and an operator has started the VM at the target.
    @Test func `a source that returns leaves a VM that is stated to be at the target`() {
        let record = OrderRecord.end(id: order.id, on: h2, at: .second(5000), reason: "h1 is lost")
        var source = AgentCore(host: h1)
        _ = source.handle(.order(.migrate(order: order)), at: .second(9000))
        _ = source.handle(.order(record), at: .second(9000))
        for (host, step) in Self.beginning + [Self.sealed] {
            _ = source.handle(.report(report(host, 4, step)), at: .second(9000))
        }
        #expect(source.handle(.caughtUp, at: .second(9000)) == [])
        #expect(source.handle(.tick, at: .second(9100)) == [])
        #expect(source.orders[order.id]?.stage == .done)
    }

    @Test(arguments: [DomainPresence.running, .absent])
    func `a target in doubt restores nothing, and states what its host has`(_ presence: DomainPresence) {
        var (_, target) = inDoubt()
        let said = steps(target.handle(.looked(order.id, .seen(presence)), at: .second(5000)))
        switch said.first {
        case .restored?: #expect(presence == .running)
        case .declined?: #expect(presence == .absent)
        default: Issue.record("it states nothing: \(said)")
        }
    }

    @Test func `a doubt about a sealed move outlives a restart, and a newer move ends it`() {
        var source = AgentCore(host: h1)
        let reason = FailureReason.sealed(.notTakenUp(vm: order.vmName, source: h1, target: h2))
        _ = source.handle(.order(.migrate(order: order)), at: .second(1))
        for (host, step) in Self.beginning + [Self.sealed, Self.opened, Self.released] {
            _ = source.handle(.report(report(host, 4, step)), at: .second(5))
        }
        _ = source.handle(
            .report(report("h1", 700, .failed(failure: OrderFailure(.inDoubt, reason, .unknown)))),
            at: .second(700)
        )
        #expect(source.handle(.caughtUp, at: .second(800)) == [.recall(order)])
        #expect(source.needsTicks)
        var newer = order
        newer.id = OrderID("newer")
        newer.issuedAt = .second(900)
        newer.expires = .second(1000)
        (newer.source, newer.target) = (h2, h1)
        _ = source.handle(.order(.migrate(order: newer)), at: .second(900))
        var running = report("h2", 901, .running(progress: .beginning))
        running.order = newer.id
        _ = source.handle(.report(running), at: .second(901))
        let recalled = recollection(begun: true, released: true, .absent)
        #expect(source.handle(.recalled(order.id, recalled), at: .second(902)).contains(.forget(order)))
    }
}
