// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// Sealed moves, step by step: who may run the VM is what the ledger's order says.
struct SealedTests {
    static let sealedOrder: MigrationOrder = {
        var made = orderOverIPsec
        made.channel = .sealed
        made.technique = .stopAndCopy
        return made
    }()
    private let order = Self.sealedOrder
    static let image = SealedImage(bytes: 1100, digest: "d", imageBytes: 1000, stoppedAt: .second(6))

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var steps: [(String, OrderStep)]
        var end: Handover
    }

    private static let sealed = ("h1", OrderStep.sealed(image: image))
    private static let restoring = ("h2", OrderStep.restoring)
    private static let restored = ("h2", OrderStep.restored(at: .second(9)))
    private static let declined = ("h2", OrderStep.declined(reason: "d"))
    private static let withdrawn = ("h1", OrderStep.withdrawn(reason: "w"))

    static let cases: [Case] = [
        Case(testDescription: "nothing yet", steps: [], end: .saving),
        Case(testDescription: "offered", steps: [sealed], end: .offered(image)),
        Case(testDescription: "claimed", steps: [sealed, restoring], end: .claimed(image)),
        Case(testDescription: "withdrawn too late", steps: [sealed, restoring, withdrawn], end: .claimed(image)),
        Case(
            testDescription: "claimed too late",
            steps: [sealed, withdrawn, restoring, restored],
            end: .returned("w")
        ),
        Case(testDescription: "declined unopened", steps: [sealed, declined, restoring], end: .returned("d")),
        Case(testDescription: "declined after the claim", steps: [sealed, restoring, declined], end: .returned("d")),
        Case(testDescription: "both give up", steps: [sealed, declined, withdrawn], end: .returned("d")),
        Case(
            testDescription: "repeated",
            steps: [sealed, sealed, restoring, restoring, restored, restored],
            end: .arrived(image, at: .second(9))
        ),
        Case(
            testDescription: "declined after it was restored",
            steps: [sealed, restoring, restored, declined, withdrawn],
            end: .arrived(image, at: .second(9))
        ),
        Case(testDescription: "claimed unoffered", steps: [restoring, restored, withdrawn], end: .saving),
        Case(
            testDescription: "in the other's name",
            steps: [sealed, ("h1", .restoring), ("h1", .declined(reason: "x")), ("h2", .withdrawn(reason: "x"))],
            end: .offered(image)
        ),
    ]

    @Test(arguments: cases) func theFirstWordDecides(_ one: Case) {
        var life = OrderLife(order)
        for (host, step) in Self.beginning + one.steps { life.apply(report(host, 5, step)) }
        #expect(life.handover == one.end && life.stage == .running)
        // Before it has begun, and of another channel, no such step counts.
        var unbegun = OrderLife(order)
        var other = OrderLife(orderOverIPsec)
        for (host, step) in one.steps { unbegun.apply(report(host, 5, step)) }
        for (host, step) in Self.beginning + one.steps { other.apply(report(host, 5, step)) }
        #expect(unbegun.handover == .saving && other.handover == .saving)
    }

    static let beginning: [(String, OrderStep)] = [
        ("h1", .accepted(requirements: requirements)), ("h2", .prepared(sealingKey: "key")),
        ("h1", .running(progress: begin)),
    ]

    private func core(_ host: String, _ steps: [(String, OrderStep)] = [], at second: Int = 5) -> AgentCore {
        var core = AgentCore(host: HostName(host))
        _ = core.handle(.order(.migrate(order: order), at: .second(1)))
        for (host, step) in steps { _ = core.handle(.report(report(host, 5, step), at: .second(5))) }
        _ = core.handle(.caughtUp(at: .second(second)))
        return core
    }

    private func steps(_ effects: [AgentCore.Effect]) -> [OrderStep] {
        effects.compactMap { if case .append(let report) = $0 { report.step } else { nil } }
    }

    // MARK: what each side does

    @Test func theSourceSealsForTheTargetsKeyAndOffersOnce() {
        var core = core("h1")
        _ = core.handle(.requirementsRead(order.id, .success(requirements), at: .second(5)))
        _ = core.handle(.appended(.written, at: .second(5)))
        _ = core.handle(.report(report("h2", 5, .prepared(sealingKey: "key")), at: .second(5)))
        var early = core
        #expect(early.handle(.report(report("h1", 5, .running(progress: begin)), at: .second(6))) == [])
        #expect(early.handle(.appended(.written, at: .second(6))) == [.seal(order, key: "key")])
        #expect(core.handle(.appended(.written, at: .second(6))) == [])
        #expect(core.handle(.tick(at: .second(6))) == [], "it has begun once it is read")
        var beaten = core
        let failure = OrderFailure(kind: .interrupted, reason: "the key is gone", runsOn: h1)
        #expect(beaten.handle(.report(report("h2", 6, .failed(failure: failure)), at: .second(6))) == [.forget(order)])
        #expect(beaten.handle(.report(report("h1", 5, .running(progress: begin)), at: .second(6))) == [])
        let begun = core.handle(.report(report("h1", 5, .running(progress: begin)), at: .second(6)))
        #expect(begun == [.seal(order, key: "key")])
        #expect(core.handle(.tick(at: .second(7))) == [])
        let offered = core.handle(.sealed(order.id, .success(Self.image), at: .second(8)))
        #expect(steps(offered) == [.sealed(image: Self.image)])
        #expect(core.handle(.appended(.written, at: .second(8))) == [])
        #expect(core.handle(.tick(at: .second(300))) == [], "what it said counts once it is read")
        #expect(core.handle(.report(report("h1", 8, .sealed(image: Self.image)), at: .second(301))) == [])
    }

    @Test func withoutAKeyNothingIsBegun() {
        var core = core("h1")
        _ = core.handle(.requirementsRead(order.id, .success(requirements), at: .second(5)))
        _ = core.handle(.appended(.written, at: .second(5)))
        let effects = core.handle(.report(report("h2", 5, .prepared()), at: .second(5)))
        guard case .failed(let failure)? = steps(effects).first else {
            Issue.record("not refused: \(effects)")
            return
        }
        #expect(failure.kind == .refused && failure.runsOn == h1)
    }

    @Test func aSealThatFailedIsTakenBackAndReportedThen() {
        var core = core("h1", Self.beginning)
        // An earlier life's: at once, and again until what that one asked for can no longer come.
        #expect(core.handle(.restored(order.id, .success(.second(6)), at: .second(6))) == [])
        #expect(core.handle(.tick(at: .second(20))) == [.takeBack(order)])
        #expect(core.handle(.restored(order.id, .success(.second(20)), at: .second(20))) == [])
        #expect(core.handle(.tick(at: .second(50))) == [.takeBack(order)])
        let end = core.handle(.restored(order.id, .success(.second(50)), at: .second(50)))
        guard case .failed(let failure)? = steps(end).first else {
            Issue.record("not reported: \(end)")
            return
        }
        #expect(failure.runsOn == h1 && end.first == .forget(order))
    }

    @Test func theTargetClaimsBeforeItRestoresAndRestoresOnce() {
        var core = core("h2")
        _ = core.handle(.report(report("h1", 2, .accepted(requirements: requirements)), at: .second(5)))
        let consent = core.handle(.targetChecked(order.id, [], sealingKey: "key", at: .second(5)))
        #expect(steps(consent) == [.prepared(sealingKey: "key")])
        _ = core.handle(.appended(.written, at: .second(5)))
        _ = core.handle(.report(report("h1", 5, .running(progress: begin)), at: .second(5)))
        let offered = core.handle(.report(report("h1", 5, .sealed(image: Self.image)), at: .second(6)))
        #expect(offered == [.unseal(order, Self.image)])
        let opened = core.handle(.unsealed(order.id, failure: nil, at: .second(7)))
        #expect(steps(opened) == [.restoring])
        #expect(core.handle(.appended(.written, at: .second(7))) == [])
        #expect(core.handle(.tick(at: .second(8))) == [], "the source may have withdrawn before")
        var beaten = core
        let withdrawn = beaten.handle(.report(report("h1", 7, .withdrawn(reason: "w")), at: .second(8)))
        #expect(withdrawn == [.forget(order)])
        #expect(beaten.handle(.report(report("h2", 7, .restoring), at: .second(8))) == [])
        #expect(core.handle(.report(report("h2", 7, .restoring), at: .second(8))) == [.restore(order)])
        #expect(core.handle(.report(report("h1", 7, .withdrawn(reason: "w")), at: .second(8))) == [])
        let restored = core.handle(.restored(order.id, .success(.second(9)), at: .second(9)))
        #expect(steps(restored) == [.restored(at: .second(9))])
        #expect(core.handle(.tick(at: .second(20))) == [])
    }

    @Test func aSourceNeverTakesBackWhatTheTargetHasClaimed() {
        let claimed = Self.beginning + [Self.sealed, Self.restoring]
        var core = core("h1", claimed)
        _ = core.handle(.order(.cancel(id: order.id, at: .second(6), reason: "no"), at: .second(6)))
        for second in stride(from: 6, to: 500, by: 3) {
            let effects = core.handle(.tick(at: .second(second)))
            #expect(effects == [] || effects == [.look(order)])
            for _ in effects {
                let sighting = Sighting(here: .seen(.inactive), there: .seen(.absent))
                #expect(core.handle(.looked(order.id, sighting, at: .second(second))) == [])
            }
        }
        var declined = core
        #expect(
            declined.handle(.report(report("h2", 500, .declined(reason: "d")), at: .second(500))) == [.takeBack(order)]
        )
        #expect(core.handle(.tick(at: .second(500))) == [.look(order)])
        let there = Sighting(here: .seen(.inactive), there: .seen(.running))
        #expect(core.handle(.looked(order.id, there, at: .second(501))) == [.apply(.discard, order)])
        let done = core.handle(.applied(order.id, .done, at: .second(502)))
        guard case .done(_, let evidence)? = steps(done).first else {
            Issue.record("not done: \(done)")
            return
        }
        #expect(evidence.verdict == .covered && done.first == .forget(order))
    }

    @Test func whatATargetsEarlierLifeRestoredAndNeverLetRunIsRemovedAndDeclined() {
        var core = core("h2", Self.beginning + [Self.sealed, Self.restoring])
        func look(_ presence: DomainPresence, _ second: Int) -> [AgentCore.Effect] {
            let sighting = Sighting(here: .seen(presence), there: .silent("not asked"))
            return core.handle(.looked(order.id, sighting, at: .second(second)))
        }
        #expect(look(.pausedByMigration, 6) == [], "what was asked of the hypervisor may let it run yet")
        #expect(core.handle(.tick(at: .second(50))) == [.look(order)])
        #expect(look(.pausedByMigration, 50) == [.apply(.discard, order)])
        #expect(core.handle(.applied(order.id, .done, at: .second(51))) == [])
        #expect(core.handle(.tick(at: .second(53))) == [.look(order)])
        guard case .declined? = steps(look(.absent, 53)).first else {
            Issue.record("not declined")
            return
        }
        var other = self.core("h2", Self.beginning + [Self.sealed, Self.restoring])
        let running = Sighting(here: .seen(.running), there: .silent("not asked"))
        #expect(steps(other.handle(.looked(order.id, running, at: .second(6)))) == [.restored(at: .second(6))])
    }

    @Test func nobodyIsTakenForDeadForEver() {
        var core = core("h1", Self.beginning + [Self.sealed, Self.restoring])
        let silent = Sighting(here: .seen(.inactive), there: .silent("gone"))
        var end: [OrderStep] = []
        for second in stride(from: 70, to: 700, by: 5) where end.isEmpty {
            for effect in core.handle(.tick(at: .second(second))) where effect == .look(order) {
                end = steps(core.handle(.looked(order.id, silent, at: .second(second))))
            }
        }
        guard case .failed(let failure)? = end.first else {
            Issue.record("never given up")
            return
        }
        #expect(failure.kind == .inDoubt && failure.runsOn == nil && failure.reason.contains("virsh restore"))
    }

    @Test func evidenceOfASealedMoveDemandsTheTargetsPart() {
        let evidence = Evidence(
            channel: .sealed,
            bytesThroughTunnel: 1100,
            bytesByHypervisor: 1000,
            session: SealedImage.session,
            verdict: .covered
        )
        var made = order
        made.definition = "d1"
        var needs = requirements
        needs.definition = "d1"
        let outcome = MigrationOutcome(startedAt: .second(5), endedAt: .second(9), bytesTransferred: 1000)
        let sound: [(String, OrderStep)] =
            [("h1", .accepted(requirements: needs))] + Self.beginning.dropFirst()
            + [Self.sealed, Self.restoring, Self.restored, ("h1", .done(outcome: outcome, evidence: evidence))]
        func failures(_ steps: [(String, OrderStep)]) -> [String] {
            EvidenceCheck(made, reports: steps.map { report($0.0, 5, $0.1) }).findings
                .filter { $0.severity == .failure }.map(\.text)
        }
        #expect(failures(sound) == [])
        for missing in 3...5 {
            var steps = sound
            steps.remove(at: missing)
            #expect(failures(steps) == ["its target never said that it took over the image and runs the VM"])
        }
        var forged = sound
        forged[4] = ("h1", .restoring)
        #expect(failures(forged).contains { $0.contains("which is for h2 to say") })
        for change in [{ $0.session = nil }, { $0.bytesThroughTunnel = 5000 }] as [(inout Evidence) -> Void] {
            var other = evidence
            change(&other)
            forged = sound
            forged[6] = ("h1", .done(outcome: outcome, evidence: other))
            #expect(failures(forged).count == 1)
        }
    }
}

/// The fixtures' order, which the suite's own would hide.
private let orderOverIPsec = order
