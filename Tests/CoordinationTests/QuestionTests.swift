// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// A host that is asked about a VM by another host's agent.
struct QuestionTests {
    private let asked = report("h1", 10, .asked(question: PresenceQuestion(vm: order.vm, target: h2, here: .running)))

    private func caughtUp(_ host: String, _ history: [OrderReport] = []) -> AgentCore {
        var core = AgentCore(host: HostName(host))
        for report in history { _ = core.handle(.report(report), at: .second(20)) }
        _ = core.handle(.caughtUp, at: .second(20))
        return core
    }

    private func answer(_ host: String, _ second: Int, _ presence: DomainPresence, to asked: Int = 10) -> OrderReport {
        report(host, second, .answered(presence: presence, question: .second(asked)))
    }

    @Test(arguments: [DomainPresence.running, .absent, .paused])
    func `the target answers in any case, also without the order`(presence: DomainPresence) {
        var core = caughtUp("h2")
        #expect(core.handle(.report(asked), at: .second(20)) == [.locate(order.id, order.vm)])
        let said = core.handle(.located(order.id, .seen(presence)), at: .second(21))
        #expect(said == [.append(answer("h2", 21, presence))])
        _ = core.handle(.appended(.written), at: .second(21))
        #expect(
            core.handle(.report(asked), at: .second(22)) == [.locate(order.id, order.vm)],
            "asked again, answered again"
        )
    }

    @Test(arguments: [true, false]) func `an answer states whether the VM is persistent`(isPersistent: Bool) {
        var core = caughtUp("h2")
        _ = core.handle(.report(asked), at: .second(20))
        let said = core.handle(.located(order.id, .seen(.running), isPersistent: isPersistent), at: .second(21))
        let answer = OrderStep.answered(presence: .running, question: .second(10), isPersistent: isPersistent)
        #expect(said == [.append(report("h2", 21, answer))])
    }

    @Test func `another host answers only if it knows the VM`() {
        var core = caughtUp("h3")
        #expect(core.handle(.report(asked), at: .second(20)) == [.locate(order.id, order.vm)])
        #expect(core.handle(.located(order.id, .seen(.absent)), at: .second(21)).isEmpty && !core.needsTicks)
        _ = core.handle(.report(asked), at: .second(22))
        #expect(core.handle(.located(order.id, .seen(.inactive)), at: .second(23)).count == 1)
    }

    @Test func `a hypervisor that does not answer is asked again`() {
        var core = caughtUp("h2")
        _ = core.handle(.report(asked), at: .second(20))
        #expect(core.handle(.located(order.id, .silent("stuck")), at: .second(21)).isEmpty)
        #expect(core.handle(.tick, at: .second(22)).isEmpty)
        #expect(core.handle(.tick, at: .second(23)) == [.locate(order.id, order.vm)])
    }

    @Test func `a question that came while the host looked needs a new look`() {
        var core = caughtUp("h2")
        _ = core.handle(.report(asked), at: .second(20))
        var second = asked
        second.at = .second(15)
        #expect(core.handle(.report(second), at: .second(21)).isEmpty)
        #expect(core.handle(.located(order.id, .seen(.absent)), at: .second(22)) == [.locate(order.id, order.vm)])
        let said = core.handle(.located(order.id, .seen(.running)), at: .second(23))
        #expect(said == [.append(answer("h2", 23, .running, to: 15))])
    }

    @Test func `after a restart the target answers what it has not answered before`() {
        var unanswered = caughtUp("h2", [asked])
        #expect(unanswered.handle(.tick, at: .second(21)).isEmpty, "the look is under way")
        #expect(unanswered.handle(.located(order.id, .seen(.absent)), at: .second(21)).count == 1)
        var answered = caughtUp("h2", [asked, answer("h2", 11, .absent)])
        #expect(answered.handle(.tick, at: .second(21)).isEmpty && !answered.needsTicks)
        var bystander = caughtUp("h3", [asked])
        #expect(bystander.handle(.tick, at: .second(21)).isEmpty && !bystander.needsTicks)
    }

    @Test func `only the source of a known order may ask`() {
        var core = caughtUp("h2")
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        let foreign = report("h3", 10, .asked(question: PresenceQuestion(vm: order.vm, target: h2, here: .running)))
        #expect(core.handle(.report(foreign), at: .second(20)).isEmpty)
    }

    @Test func `the questions of one host are limited, and do not keep out others`() {
        var core = caughtUp("h2")
        var looks: [AgentCore.Effect] = []
        for number in 0..<1000 {
            var flood = asked
            flood.order = OrderID("flood-\(number)")
            looks += core.handle(.report(flood), at: .second(20))
        }
        #expect(looks.count == 4, "four at once")
        var other = report("h3", 10, asked.step)
        other.order = OrderID("other")
        looks += core.handle(.report(other), at: .second(20))
        var located: Set<OrderID> = []
        var reports = 0
        while !looks.isEmpty {
            switch looks.removeFirst() {
            case .locate(let id, _):
                located.insert(id)
                looks += core.handle(.located(id, .seen(.absent)), at: .second(21))
            case .append:
                reports += 1
                if reports < 10 { looks += core.handle(.appended(.written), at: .second(21)) }
            default: break
            }
        }
        #expect(located.count == 65 && located.contains(OrderID("other")))
        // The ledger has stopped: answers do not pile up.
        #expect(reports == 10)
    }
}
