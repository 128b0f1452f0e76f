// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// Sealed moves, step by step: each host's own reports decide where the VM may run.
struct SealedTests {
    static let sealedOrder: MigrationOrder = {
        var made = orderOverIPsec
        made.channel = .sealed
        made.technique = .stopAndCopy
        return made
    }()
    let order = Self.sealedOrder
    static let image = SealedImage(bytes: 1100, digest: "d", imageBytes: 1000, stoppedAt: .second(6))

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var steps: [(String, OrderStep)]
        var end: Handover.Phase
    }

    static let sealed = ("h1", OrderStep.sealed(image: image))
    static let opened = ("h2", OrderStep.opened(digest: "d"))
    static let released = ("h1", OrderStep.released)
    static let restored = ("h2", OrderStep.restored(at: .second(9)))
    static let declined = ("h2", OrderStep.declined(reason: "d"))
    static let withdrawn = ("h1", OrderStep.withdrawn(reason: "w"))

    static let cases: [Case] = [
        Case(testDescription: "nothing yet", steps: [], end: .saving),
        Case(testDescription: "offered", steps: [sealed], end: .offered(isOpened: false)),
        Case(testDescription: "asked for", steps: [sealed, opened], end: .offered(isOpened: true)),
        Case(testDescription: "let go", steps: [sealed, opened, released], end: .released),
        Case(
            testDescription: "arrived",
            steps: [sealed, opened, released, restored],
            end: .arrived(at: .second(9))
        ),
        Case(testDescription: "withdrawn", steps: [sealed, opened, withdrawn], end: .returned("w")),
        Case(testDescription: "declined", steps: [sealed, declined], end: .returned("d")),
        Case(
            testDescription: "declined although let go",
            steps: [sealed, opened, released, declined],
            end: .returned("d")
        ),
        Case(
            testDescription: "a source that says both",
            steps: [sealed, opened, released, withdrawn],
            end: .released
        ),
        Case(
            testDescription: "a target that says both",
            steps: [sealed, opened, released, restored, declined],
            end: .arrived(at: .second(9))
        ),
        Case(
            testDescription: "restored without having been let go",
            steps: [sealed, opened, restored],
            end: .offered(isOpened: true)
        ),
        Case(
            testDescription: "in the other's name",
            steps: [sealed, ("h2", .released), ("h1", .opened(digest: "d")), ("h1", .declined(reason: "x"))],
            end: .offered(isOpened: false)
        ),
    ]

    @Test(arguments: cases) func `the hosts' own reports decide where the VM may run`(_ one: Case) {
        var state = OrderState(order)
        for (host, step) in Self.beginning + one.steps { state.apply(report(host, 5, step)) }
        #expect(state.handover.phase == one.end && state.stage == .running)
        // One host's steps are in order; how the two hosts' steps interleave does not matter.
        var random = SplitMix64(seed: 1)
        for _ in 0..<20 {
            var mixed = OrderState(order)
            var left = [one.steps.filter { $0.0 == "h1" }, one.steps.filter { $0.0 == "h2" }]
            while !left.allSatisfy(\.isEmpty) {
                let index = random.below(2)
                guard !left[index].isEmpty else { continue }
                let (host, step) = left[index].removeFirst()
                mixed.apply(report(host, 5, step))
            }
            #expect(mixed.handover == state.handover)
        }
        var other = OrderState(orderOverIPsec)
        for (host, step) in Self.beginning + one.steps { other.apply(report(host, 5, step)) }
        #expect(other.handover == Handover())
    }

    static let beginning: [(String, OrderStep)] = [
        ("h1", .accepted(requirements: requirements)), ("h2", .prepared(sealingKey: "key")),
        ("h1", .running(progress: begin)),
    ]

    func core(_ host: String, _ steps: [(String, OrderStep)] = [], at second: Int = 5) -> AgentCore {
        var core = AgentCore(host: HostName(host))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        for (host, step) in steps { _ = core.handle(.report(report(host, 5, step)), at: .second(5)) }
        _ = core.handle(.caughtUp, at: .second(second))
        return core
    }

    func steps(_ effects: [AgentCore.Effect]) -> [OrderStep] {
        effects.compactMap { if case .append(let report) = $0 { report.step } else { nil } }
    }

    // MARK: the source

    /// Returns a source that has begun in this run.
    private func begun() -> AgentCore {
        var core = core("h1")
        _ = core.handle(.recalled(order.id, recollection(.running)), at: .second(5))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(5))
        _ = core.handle(.appended(.written), at: .second(5))
        _ = core.handle(.report(report("h2", 5, .prepared(sealingKey: "key"))), at: .second(5))
        return core
    }

    @Test func `the source seals, offers and releases the image that the target opened`() {
        var core = begun()
        #expect(core.handle(.appended(.written), at: .second(6)) == [.seal(order, key: "key")])
        #expect(core.handle(.tick, at: .second(7)) == [])
        let offered = core.handle(.sealed(order.id, .success(Self.image)), at: .second(8))
        #expect(steps(offered) == [.sealed(image: Self.image)])
        _ = core.handle(.appended(.written), at: .second(8))
        #expect(core.handle(.tick, at: .second(20)) == [])
        let asked = core.handle(.report(report("h2", 20, .opened(digest: "d"))), at: .second(21))
        #expect(asked == [.release(order)])
        #expect(core.handle(.tick, at: .second(22)) == [], "it is reported once it is on the disk")
        var unnoted = core
        let withdrawn = unnoted.handle(.letGo(order.id, failure: "disk full"), at: .second(22))
        guard case .withdrawn? = steps(withdrawn).first, withdrawn.contains(.takeBack(order, startsWithHost: false))
        else {
            Issue.record("not withdrawn: \(withdrawn)")
            return
        }
        #expect(steps(core.handle(.letGo(order.id, failure: nil), at: .second(22))) == [.released])
        _ = core.handle(.appended(.written), at: .second(22))
        let arrived = core.handle(.report(report("h2", 25, .restored(at: .second(25)))), at: .second(25))
        #expect(arrived == [.apply(.discard, order)])
    }

    @Test func `a target that declined early keeps the source from stopping the VM`() {
        var core = begun()
        _ = core.handle(.report(report("h2", 5, .declined(reason: "no key"))), at: .second(6))
        let effects = core.handle(.appended(.written), at: .second(6))
        guard case .failed(let failure)? = steps(effects).first else {
            Issue.record("not refused: \(effects)")
            return
        }
        #expect(failure.whereabouts == .at(h1) && failure.text == "no key")
    }

    @Test func `an image that is not opened in time is withdrawn and never released`() {
        var core = begun()
        _ = core.handle(.appended(.written), at: .second(6))
        _ = core.handle(.sealed(order.id, .success(Self.image)), at: .second(8))
        _ = core.handle(.appended(.written), at: .second(8))
        #expect(core.handle(.tick, at: .second(60)) == [])
        let withdrawn = core.handle(.tick, at: .second(75))
        guard case .withdrawn? = steps(withdrawn).first, withdrawn.contains(.takeBack(order, startsWithHost: false))
        else {
            Issue.record("not withdrawn: \(withdrawn)")
            return
        }
        #expect(core.handle(.report(report("h2", 70, .opened(digest: "d"))), at: .second(76)) == [])
        _ = core.handle(.appended(.written), at: .second(76))
        let end = core.handle(.restored(order.id, .success(.second(77))), at: .second(77))
        guard case .failed(let failure)? = steps(end).first else {
            Issue.record("not reported: \(end)")
            return
        }
        #expect(failure.whereabouts == .at(h1))
    }

    @Test func `without a key the move does not begin`() {
        var core = core("h1")
        _ = core.handle(.recalled(order.id, recollection(.running)), at: .second(5))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(5))
        _ = core.handle(.appended(.written), at: .second(5))
        let effects = core.handle(.report(report("h2", 5, .prepared())), at: .second(5))
        guard case .failed(let failure)? = steps(effects).first else {
            Issue.record("not refused: \(effects)")
            return
        }
        #expect(failure.kind == .refused && failure.whereabouts == .at(h1))
    }

    // MARK: the target

    @Test func `the target restores a released image exactly once`() {
        var core = core("h2")
        _ = core.handle(.report(report("h1", 2, .accepted(requirements: requirements))), at: .second(5))
        let consent = core.handle(.targetChecked(order.id, [], sealingKey: "key"), at: .second(5))
        #expect(steps(consent) == [.prepared(sealingKey: "key")])
        _ = core.handle(.appended(.written), at: .second(5))
        _ = core.handle(.report(report("h1", 5, .running(progress: begin))), at: .second(5))
        let offered = core.handle(.report(report("h1", 5, .sealed(image: Self.image))), at: .second(6))
        #expect(offered == [.unseal(order, Self.image)])
        let opened = core.handle(.unsealed(order.id, .success("d")), at: .second(7))
        #expect(steps(opened) == [.opened(digest: "d")])
        #expect(core.handle(.appended(.written), at: .second(7)) == [])
        #expect(core.handle(.tick, at: .second(30)) == [], "the source has it still")
        var withdrawn = core
        #expect(
            withdrawn.handle(.report(report("h1", 8, .withdrawn(reason: "w"))), at: .second(30)) == [.forget(order)]
        )
        var late = core
        let declined = late.handle(.tick, at: .second(70))
        guard case .declined? = steps(declined).first, declined.first == .forget(order) else {
            Issue.record("not declined: \(declined)")
            return
        }
        #expect(late.handle(.report(report("h1", 60, .released)), at: .second(71)) == [], "it has let that go itself")
        #expect(core.handle(.report(report("h1", 8, .released)), at: .second(31)) == [.restore(order)])
        #expect(core.handle(.report(report("h1", 8, .withdrawn(reason: "w"))), at: .second(31)) == [])
        let restored = core.handle(.restored(order.id, .success(.second(32))), at: .second(32))
        #expect(steps(restored) == [.restored(at: .second(32))] && restored.first == .forget(order))
        #expect(core.handle(.tick, at: .second(50)) == [])
    }

    @Test func `a source takes back a released VM only after the target declines`() {
        let said = Self.beginning + [Self.sealed, Self.opened, Self.released]
        var core = core("h1", said)
        _ = core.handle(.recalled(order.id, recollection(begun: true, released: true)), at: .second(5))
        _ = core.handle(.order(.cancel(id: order.id, at: .second(6), reason: "no")), at: .second(6))
        for second in stride(from: 6, to: 500, by: 3) {
            let effects = core.handle(.tick, at: .second(second))
            #expect(effects == [] || effects == [.look(order)])
            for _ in effects {
                let observation = CopyObservation.seen(.inactive)
                #expect(core.handle(.looked(order.id, observation), at: .second(second)) == [])
            }
        }
        var declined = core
        #expect(
            declined.handle(.report(report("h2", 500, .declined(reason: "d"))), at: .second(500)) == [
                .takeBack(order, startsWithHost: false)
            ]
        )
        // The target should not have it, and is asked.
        let back = declined.handle(.restored(order.id, .success(.second(501))), at: .second(501))
        #expect(steps(back).count == 1)
        #expect(declined.handle(.tick, at: .second(502)).contains(.look(order)))
        #expect(core.handle(.tick, at: .second(500)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.inactive)), at: .second(500)) == [])
        let arrived = core.handle(.report(report("h2", 501, .restored(at: .second(501)))), at: .second(501))
        #expect(arrived == [.apply(.discard, order)])
        let done = core.handle(.applied(order.id, .done), at: .second(502))
        guard case .done(_, let evidence)? = steps(done).first else {
            Issue.record("not done: \(done)")
            return
        }
        #expect(evidence.verdict == .covered && done.first == .forget(order))
    }

    @Test func `a restarted target discards a copy that never ran, and declines`() {
        let said = Self.beginning + [Self.sealed, Self.opened, Self.released]
        var core = core("h2", said)
        func look(_ presence: DomainPresence, _ second: Int) -> [AgentCore.Effect] {
            let observation = CopyObservation.seen(presence)
            return core.handle(.looked(order.id, observation), at: .second(second))
        }
        let recalled = core.handle(.recalled(order.id, recollection(.pausedByMigration)), at: .second(5))
        #expect(recalled == [.look(order)])
        #expect(look(.pausedByMigration, 6) == [], "an earlier call may still start it")
        #expect(core.handle(.tick, at: .second(50)) == [.look(order)])
        #expect(look(.pausedByMigration, 50) == [.apply(.discard, order)])
        #expect(core.handle(.applied(order.id, .done), at: .second(51)) == [])
        #expect(core.handle(.tick, at: .second(53)) == [.look(order)])
        guard case .declined? = steps(look(.absent, 53)).first else {
            Issue.record("not declined")
            return
        }
    }

    @Test func `a restarted target never declines a VM that it started`() {
        let said = Self.beginning + [Self.sealed, Self.opened]
        var core = core("h2", said)
        var looks = core.handle(.recalled(order.id, recollection(started: true, .absent)), at: .second(5))
        var warnings = 0
        for second in stride(from: 6, to: 300, by: 3) {
            looks += core.handle(.tick, at: .second(second))
            for effect in looks where effect == .look(order) {
                looks = []
                let gone = CopyObservation.seen(.absent)
                let effects = core.handle(.looked(order.id, gone), at: .second(second))
                #expect(steps(effects) == [])
                warnings += effects.count { if case .announce(.vmIsGone) = $0 { true } else { false } }
            }
        }
        #expect(warnings == 1, "it may have run and been shut down since")
        var other = self.core("h2", said)
        _ = other.handle(.recalled(order.id, recollection(started: true, .running)), at: .second(5))
        let running = CopyObservation.seen(.running)
        #expect(steps(other.handle(.looked(order.id, running), at: .second(6))) == [.restored(at: .second(6))])
        _ = other.handle(.appended(.written), at: .second(7))
        for second in 8...60 { #expect(other.handle(.tick, at: .second(second)) == [], "it is reported once") }
    }

    /// The source released the image but its line is lost; the journal entry may be uncertain, too.
    @Test func `a source that took the VM back does not report a release`() {
        let taken = Recollection(hasBegun: true, hasReleased: true, hasStarted: true, presence: .inactive)
        var core = core("h1", Self.beginning + [Self.sealed, Self.opened])
        let effects = core.handle(.recalled(order.id, .success(taken)), at: .second(6))
        #expect(!steps(effects).contains(.released))
        let declined = Self.beginning + [Self.sealed, Self.withdrawn]
        var withdrawn = self.core("h1", declined)
        let back = withdrawn.handle(.recalled(order.id, recollection(begun: true, released: true)), at: .second(6))
        #expect(back == [.takeBack(order, startsWithHost: false)])
    }

    @Test func `a silent target ends the order in doubt, and the image stays`() {
        let said = Self.beginning + [Self.sealed, Self.opened, Self.released]
        var core = core("h1", said)
        _ = core.handle(.recalled(order.id, recollection(begun: true, released: true)), at: .second(5))
        let silent = CopyObservation.seen(.inactive)
        var end: [AgentCore.Effect] = []
        for second in stride(from: 70, to: 700, by: 5) where end.isEmpty {
            for effect in core.handle(.tick, at: .second(second)) where effect == .look(order) {
                end = core.handle(.looked(order.id, silent), at: .second(second))
            }
        }
        guard case .failed(let failure)? = steps(end).first else {
            Issue.record("never given up")
            return
        }
        #expect(failure.kind == .inDoubt && failure.whereabouts == .unknown && failure.text.contains("virsh restore"))
        #expect(!end.contains(.forget(order)))
        var target = self.core("h2", said)
        _ = target.handle(.recalled(order.id, recollection(.absent)), at: .second(5))
        let effects = target.handle(.report(report("h1", 700, .failed(failure: failure))), at: .second(700))
        #expect(!effects.contains(.forget(order)), "it may be all there is of the VM")
    }

    @Test func `evidence of a sealed move requires the target's reports`() {
        let evidence = Evidence(
            channel: .sealed,
            proof: .sealed(image: Self.image),
            bytesOnPath: 1100,
            bytesByHypervisor: 1000,
            verdict: .covered
        )
        var made = order
        made.definition = "d1"
        var needs = requirements
        needs.definition = "d1"
        let outcome = MigrationOutcome(startedAt: .second(5), endedAt: .second(9), bytesTransferred: 1000)
        let sound: [(String, OrderStep)] =
            [("h1", .accepted(requirements: needs))] + Self.beginning.dropFirst()
            + [
                Self.sealed, Self.opened, Self.released, Self.restored,
                ("h1", .done(outcome: outcome, evidence: evidence)),
            ]
        func failures(_ steps: [(String, OrderStep)]) -> [EvidenceCheck.Finding] {
            EvidenceCheck(made, reports: steps.map { report($0.0, 5, $0.1) }).findings
                .filter { $0.severity == .failure }
        }
        #expect(failures(sound) == [])
        for missing in [3, 5, 6] {
            var steps = sound
            steps.remove(at: missing)
            #expect(failures(steps) == [.proof(.imageNotTakenOver)])
        }
        for other in [("h2", OrderStep.opened(digest: "another")), ("h1", .opened(digest: "d"))] {
            var steps = sound
            steps[4] = other
            #expect(failures(steps).contains(.proof(.otherImageOpened)))
        }
        var forged = sound
        forged[6] = ("h1", .restored(at: .second(9)))
        #expect(failures(forged).contains(.step(.wrongReporter(h1, .running, owner: h2))))
        var image = Self.image
        image.digest = "another"
        for (change, expected) in [
            ({ $0.proof = .none }, .missing(.sealed)), ({ $0.proof = .sealed(image: image) }, .otherImage),
            ({ $0.bytesOnPath = 5000 }, .otherImage),
        ] as [((inout Evidence) -> Void, EvidenceCheck.Finding.Proof)] {
            var other = evidence
            change(&other)
            forged = sound
            forged[7] = ("h1", .done(outcome: outcome, evidence: other))
            #expect(failures(forged) == [.proof(expected)])
        }
    }
}

/// The fixtures' order, which the suite's own property would hide.
private let orderOverIPsec = order
