// SPDX-License-Identifier: Apache-2.0
import Balancing
import Coordination
import Fleet
import Testing

/// Moves of VMs that are off.
struct OfflineTests {
    let offline: MigrationOrder = {
        var offline = order
        (offline.technique, offline.issuer) = (.offline, .operator)
        return offline
    }()

    // MARK: orders

    @Test func `an offline order goes through the same steps as a live one`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.caughtUp, at: .second(0))
        #expect(core.handle(.order(.migrate(order: offline)), at: .second(1)) == [.readRequirements(offline)])
        #expect(
            core.handle(.requirementsRead(offline.id, .success(requirements)), at: .second(2))
                == [.append(report("h1", 2, .accepted(requirements: requirements)))]
        )
        _ = core.handle(.appended(.written), at: .second(2))
        #expect(
            core.handle(.report(report("h2", 3, .prepared())), at: .second(4))
                == [.append(report("h1", 4, .running(progress: begin)))]
        )
        #expect(core.handle(.appended(.written), at: .second(4)) == [.migrate(offline, preparation)])
        _ = core.handle(.migrationEnded(offline.id, .success(completion)), at: .second(5))
        #expect(core.orders[offline.id]?.stage == .done)
    }

    @Test(arguments: Channel.allCases)
    func `a definition moves over every channel except the sealed one`(channel: Channel) {
        var offline = offline
        offline.channel = channel
        var core = AgentCore(host: h1)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: offline)), at: .second(1))
        let reason = core.orders[offline.id]?.failure?.reason
        #expect(reason == (channel == .sealed ? .order(.wrongTechnique(.offline, .sealed)) : nil))
    }

    @Test func `a target promises no memory to a VM that is off`() throws {
        for technique in [Technique.preCopy, .offline] {
            var first = offline
            (first.technique, first.id, first.vm) = (technique, OrderID("o0"), VMID("another"))
            var core = AgentCore(host: h2)
            _ = core.handle(.caughtUp, at: .second(0))
            for order in [first, offline] { _ = core.handle(.order(.migrate(order: order)), at: .second(1)) }
            let accepted = OrderStep.accepted(requirements: requirements)
            let other = OrderReport(order: first.id, host: h1, at: .second(2), step: accepted)
            _ = core.handle(.report(other), at: .second(2))
            let effects = core.handle(.report(report("h1", 2, accepted)), at: .second(2))
            let promised = technique == .offline ? 0 : requirements.memoryBytes
            #expect(effects == [.checkTarget(offline, requirements, promisedBytes: promised)])
        }
    }

    @Test func `an offline move is no past move for planning, and one under way is in flight`() {
        var core = inControl(Policy())
        _ = core.handle(.order(.migrate(order: offline)))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress)), at: .second(2)))
        #expect(core.snapshot(at: .second(3)).movesInFlight.map(\.vm) == [offline.vm])
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        _ = core.handle(.report(report("h1", 3, done), at: .second(3)))
        let snapshot = core.snapshot(at: .second(4))
        #expect(snapshot.movesInFlight.isEmpty && snapshot.pastMoves.isEmpty)
    }

    // MARK: unknown outcomes

    /// What the source does once both states are known.
    private enum Decision: Equatable, Sendable {
        case done
        case failed(String, OrderFailure.Whereabouts)
        case apply(CopyAction)
        case wait
    }

    private static let states: [DomainPresence] = [
        .absent, .inactive, .running, .migratingOut, .pausedByMigration, .paused,
    ]

    private static func expected(_ here: DomainPresence, _ there: DomainPresence) -> Decision {
        switch (here, there) {
        case (_, .pausedByMigration) where [.inactive, .absent].contains(here): .wait
        case (.running, .pausedByMigration), (.paused, .pausedByMigration): .wait
        case (.pausedByMigration, _): .wait
        case (.inactive, .absent), (.running, .absent), (.paused, .absent): .failed("stayed", .at(h1))
        case (.inactive, _): .apply(.discard)
        case (.absent, .absent): .failed("defined-nowhere", .unknown)
        case (.absent, _): .done
        case (.running, .inactive), (.paused, .inactive): .failed("defined-there", .at(h1))
        case (.running, .paused): .failed("runs-here-copy-there", .at(h1))
        case (.paused, .paused): .failed("paused-here-and-elsewhere", .unknown)
        default: .apply(.pause)
        }
    }

    @Test(arguments: OfflineTests.states.filter { $0 != .migratingOut }, OfflineTests.states)
    func `every pair of states after a lost answer has its conclusion`(here: DomainPresence, there: DomainPresence) {
        var core = migrating()
        loseAnswer(&core, at: 9)
        let effects = decide(&core, here, there, at: 10)
        let decision: Decision
        switch effects.first {
        case nil: decision = .wait
        case .apply(let action, _): decision = .apply(action)
        case .append(let report):
            switch report.step {
            case .done: decision = .done
            case .failed(let failure): decision = .failed(failure.reason.code, failure.whereabouts)
            default: decision = .wait
            }
        default:
            Issue.record("\(effects)")
            return
        }
        #expect(decision == Self.expected(here, there), "\(here) here, \(there) there")
    }

    @Test func `of two definitions the source's is removed, and the move is done`() {
        var core = migrating()
        loseAnswer(&core, at: 9)
        #expect(decide(&core, .inactive, .inactive, at: 10) == [.apply(.discard, offline)])
        _ = core.handle(.applied(offline.id, .done), at: .second(11))
        #expect(core.orders[offline.id]?.stage == .done)
        #expect(core.orders[offline.id]?.evidence?.verdict == .unknown)
    }

    @Test func `a VM that was off stays off, although its host has booted`() {
        var core = migrating(startsWithHost: true)
        loseAnswer(&core, at: 9)
        let effects = decide(&core, .inactive, .absent, at: 10)
        #expect(core.orders[offline.id]?.failure?.whereabouts == .at(h1))
        #expect(!effects.contains(.apply(.start, offline)))
        #expect(effects.contains(.startWithHost(offline)), "its autostart was off during the move")
    }

    @Test func `a definition counts as not moved only after the job lock's timeout`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: offline)), at: .second(20))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(20))
        #expect(core.handle(.caughtUp, at: .second(20)) == [.look(offline)])
        #expect(core.handle(.looked(offline.id, .seen(.inactive)), at: .second(21)).isEmpty, "libvirt may go on")
        #expect(core.handle(.tick, at: .second(60)) == [.look(offline)])
        ask(&core, .inactive, at: 60)
    }

    @Test func `a migration that somebody began meanwhile is not cancelled`() {
        var core = migrating()
        loseAnswer(&core, at: 9)
        #expect(core.handle(.looked(offline.id, .seen(.migratingOut)), at: .second(10)).isEmpty)
    }

    /// A power cut can bring back a definition that libvirt had removed.
    @Test func `a definition that is back at the source is removed while the target has it`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: offline)), at: .second(20))
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        for step in [.running(progress: progress), done] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(20))
        }
        _ = core.handle(.caughtUp, at: .second(20))
        _ = core.handle(.known([offline.vm]), at: .second(30))
        #expect(core.handle(.tick, at: .second(31)) == [.look(offline)])
        #expect(decide(&core, .inactive, .inactive, at: 31) == [.apply(.discard, offline)])
        #expect(core.handle(.applied(offline.id, .done), at: .second(32)).isEmpty && !core.needsTicks)
    }

    // MARK: helpers

    var definedThere: OrderFailure {
        let finding = FailureReason.Finding.definedThere(vm: "vm1", source: h1, target: h2)
        return OrderFailure(.migration, .inquiry(.answerLost(detail: "cut off"), finding), .at(h1))
    }

    func ask(_ core: inout AgentCore, _ here: DomainPresence, at second: Int) {
        let question = PresenceQuestion(vm: offline.vm, target: h2, here: here)
        #expect(
            core.handle(.looked(offline.id, .seen(here)), at: .second(second))
                == [.append(report("h1", second, .asked(question: question)))]
        )
        _ = core.handle(.appended(.written), at: .second(second))
    }

    /// Answers the source's look, its question and its second look; returns the effects of that.
    func decide(
        _ core: inout AgentCore,
        _ here: DomainPresence,
        _ there: DomainPresence,
        at second: Int
    ) -> [AgentCore.Effect] {
        ask(&core, here, at: second)
        let answer = OrderStep.answered(presence: there, question: .second(second))
        #expect(core.handle(.report(report("h2", second, answer)), at: .second(second)) == [.look(offline)])
        return core.handle(.looked(offline.id, .seen(here)), at: .second(second))
    }

    func loseAnswer(_ core: inout AgentCore, at second: Int) {
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        #expect(core.handle(.migrationEnded(offline.id, .failure(lost)), at: .second(second)) == [.look(offline)])
    }

    /// Returns a source whose move is under way.
    func migrating(startsWithHost: Bool = false) -> AgentCore {
        var requirements = requirements
        requirements.startsWithHost = startsWithHost
        return migratingSource(of: offline, with: requirements)
    }

    /// Returns a target that has consented.
    func prepared() -> AgentCore {
        var core = AgentCore(host: h2)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: offline)), at: .second(1))
        _ = core.handle(.report(report("h1", 2, .accepted(requirements: requirements))), at: .second(2))
        _ = core.handle(.targetChecked(offline.id, []), at: .second(3))
        _ = core.handle(.appended(.written), at: .second(3))
        return core
    }
}
