// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// Plays a round of question and answer of the source; returns the effects of the look that follows.
func round(
    _ core: inout AgentCore,
    here: DomainPresence,
    there: DomainPresence,
    isPersistent: Bool? = nil,
    at second: Int
) -> [AgentCore.Effect] {
    #expect(core.handle(.tick, at: .second(second)) == [.look(order)])
    let question = PresenceQuestion(vm: order.vm, target: h2, here: here)
    let asked = core.handle(.looked(order.id, .seen(here)), at: .second(second))
    #expect(asked == [.append(report("h1", second, .asked(question: question)))])
    _ = core.handle(.appended(.written), at: .second(second))
    let answer = OrderStep.answered(presence: there, question: .second(second), isPersistent: isPersistent)
    #expect(core.handle(.report(report("h2", second, answer)), at: .second(second)) == [.look(order)])
    return core.handle(.looked(order.id, .seen(here)), at: .second(second))
}
