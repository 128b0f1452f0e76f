// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

@testable import Coordination

/// The controller and orders that no source ends.
struct UnendedOrderTests {
    /// Returns a controller that has read a running order.
    private func running() -> ControllerCore {
        var core = inControl(Policy(mode: .manual))
        _ = core.handle(.order(.migrate(order: order)))
        for step in [OrderStep.accepted(requirements: requirements), .running(progress: progress)] {
            _ = core.handle(.report(report("h1", 2, step), at: .second(2)))
        }
        return core
    }

    /// Feeds the target's sample, with the VM in this state, and lets the controller decide.
    private func decide(_ core: inout ControllerCore, _ vm: VMState?, at second: Int) -> [ControllerCore.Effect] {
        let vms = vm.map { VMSample(id: order.vm, name: "vm1", state: $0, cpuCores: 1, vcpus: 1, memoryBytes: 1 << 27) }
        let sample = LoadSample(
            host: h2,
            at: .second(second),
            intervalSeconds: 5,
            cpu: CPULoad(capacityCores: 4, busyCores: 1),
            memory: MemoryLoad(totalBytes: 1 << 34, usedBytes: 1 << 32, availableBytes: 3 << 32),
            vms: [vms].compactMap(\.self)
        )
        _ = core.handle(.sample(sample, at: .second(second)))
        return core.handle(.tick(at: .second(second), identifier: "d\(second)"))
    }

    private func news(_ effects: [ControllerCore.Effect]) -> [ControllerNews] {
        effects.compactMap { if case .announce(let news) = $0 { news } else { nil } }
            .filter { news in
                switch news {
                case .expired, .sourceSilent, .endStated, .moved, .notMoved: true
                default: false
                }
            }
    }

    private let path = Path(source: h1, target: h2)

    @Test(
        arguments: [
            (VMState.running, TargetsWord.runs, "evenkeel end o1 --on h2"),
            (.migrating, .doesNotRun, "evenkeel end o1 --on HOST"), (nil, .absent, "evenkeel end o1 --on h1"),
        ] as [(VMState?, TargetsWord, String)]
    )
    func `a silent source is reported once, with the word of the target`(
        _ vm: VMState?,
        _ word: TargetsWord,
        _ advice: String
    ) throws {
        var core = running()
        #expect(news(decide(&core, vm, at: 600)).isEmpty)
        let first = news(decide(&core, vm, at: 603))
        #expect(first == [.sourceSilent(order.id, vmName: "vm1", path, limit: .seconds(600), target: word)])
        let text = try #require(first.first).description
        #expect(text.contains(advice) && text.contains("the agent of h1"), "\(text)")
        #expect(first.first?.kind.needsOperator == true)
        #expect(news(decide(&core, vm, at: 900)).isEmpty)
    }

    @Test func `a target that does not report either is no witness`() {
        var core = running()
        let effects = core.handle(.tick(at: .second(700), identifier: "d"))
        #expect(
            news(effects) == [.sourceSilent(order.id, vmName: "vm1", path, limit: .seconds(600), target: .unknown)]
        )
    }

    @Test func `a record ends the order for the controller`() {
        for host in [h1, h2] {
            var core = running()
            let end = OrderRecord.end(id: order.id, on: host, at: .second(700), reason: "h1 burned down")
            let effects = core.handle(.order(end))
            #expect(news(effects) == [.endStated(order.id, vmName: "vm1", path, on: host, "h1 burned down")])
            #expect(core.handle(.order(end)).isEmpty, "told once")
            let snapshot = core.snapshot(at: .second(701))
            #expect(snapshot.movesInFlight.isEmpty)
            #expect(snapshot.pastMoves.map(\.succeeded) == [host == h2])
            #expect(snapshot.pastMoves.map(\.endedAt) == [.second(700)])
            #expect(news(decide(&core, .running, at: 710)).isEmpty)
            // Progress that is read late is no end.
            let late = report("h1", 3, .running(progress: progress))
            #expect(core.handle(.report(late, at: .second(720))).isEmpty)
        }
    }

    @Test func `the order of a removed source ends by the word of the target`() {
        for (vm, ends) in [(VMState.running, true), (.migrating, false), (nil, false)] as [(VMState?, Bool)] {
            var core = running()
            _ = core.handle(.removed([h1]))
            for second in [10, 20] {
                let written = decide(&core, vm, at: second).compactMap { effect -> HostName? in
                    guard case .end(order.id, on: let host, _) = effect else { return nil }
                    return host
                }
                #expect(written == (ends ? [h2] : []), "until the ledger shows it")
            }
            _ = core.handle(.order(.end(id: order.id, on: h2, at: .second(21), reason: "removed")))
            let after = decide(&core, vm, at: 30)
            #expect(!after.contains { if case .end = $0 { true } else { false } })
        }
    }

    @Test func `the search for a copy on a removed target is ended by a record`() {
        for (whereabouts, kind, ends) in [
            (.at(h1), .migration, true), (.at(h1), .refused, false), (.unknown, .inDoubt, false),
        ] as [(OrderFailure.Whereabouts, OrderFailure.Kind, Bool)] {
            var core = running()
            let failure = OrderFailure(kind, .move(.pathLost(detail: "EOF")), whereabouts)
            _ = core.handle(.report(report("h1", 5, .failed(failure: failure)), at: .second(5)))
            _ = core.handle(.removed([h2]))
            func ended(_ second: Int) -> [HostName] {
                decide(&core, nil, at: second).compactMap { effect -> HostName? in
                    guard case .end(order.id, on: let host, _) = effect else { return nil }
                    return host
                }
            }
            #expect(ended(10) == (ends ? [h1] : []))
            _ = core.handle(.order(.end(id: order.id, on: h1, at: .second(11), reason: "removed")))
            #expect(ended(20) == [])
        }
    }

    /// A failed move, and what is known of it after a number of days.
    struct Search: Sendable {
        /// The day of the source's newest question, and the target's answer to it.
        var asked: (day: Int, answer: DomainPresence?)?
        var isEnded = false
        var isInDoubt = false
        var day: Int
        var isKept: Bool
    }

    @Test(
        arguments: [
            Search(day: 3, isKept: true), Search(day: 7, isKept: true), Search(day: 9, isKept: false),
            Search(asked: (0, .absent), day: 3, isKept: false),
            Search(asked: (0, .pausedByMigration), day: 3, isKept: true),
            Search(asked: (20, nil), day: 25, isKept: true),
            Search(asked: (20, .absent), day: 20, isKept: true), Search(asked: (20, .absent), day: 25, isKept: false),
            Search(isEnded: true, day: 3, isKept: false), Search(isInDoubt: true, day: 30, isKept: true),
        ] as [Search]
    )
    func `an order is known for as long as its source searches`(_ search: Search) {
        var core = running()
        let failure =
            search.isInDoubt
            ? OrderFailure(.inDoubt, .other("test"), .unknown)
            : OrderFailure(.migration, .move(.pathLost(detail: "EOF")), .at(h1))
        _ = core.handle(.report(report("h1", 5, .failed(failure: failure)), at: .second(5)))
        if let (day, answer) = search.asked {
            let second = day * 86400 + 6
            let question = PresenceQuestion(vm: order.vm, target: h2, here: .running)
            let asked = report("h1", second, .asked(question: question))
            _ = core.handle(.report(asked, at: .second(second)))
            if let answer {
                let answered = report("h2", second, .answered(presence: answer, question: .second(second)))
                _ = core.handle(.report(answered, at: .second(second)))
            }
        }
        if search.isEnded {
            _ = core.handle(.order(.end(id: order.id, on: h1, at: .second(100), reason: "h2 is lost")))
        }
        _ = core.handle(.tick(at: .second(search.day * 86400 + 60), identifier: "d"))
        #expect((core.orders[order.id] != nil) == search.isKept)
    }

    @Test func `an order of a source that was not removed is left to the operator`() {
        var core = running()
        _ = core.handle(.removed([HostName("h3")]))
        #expect(!decide(&core, .running, at: 700).contains { if case .end = $0 { true } else { false } })
    }

    @Test func `an order that no agent takes up counts as a failed move, and is reported once`() throws {
        var core = inControl(Policy(mode: .manual))
        _ = core.handle(.order(.migrate(order: order)))
        let counts = order.latestBeginning + Policy().staleAfter
        #expect(core.snapshot(at: counts).pastMoves.isEmpty)
        let snapshot = core.snapshot(at: counts + .seconds(1))
        #expect(snapshot.movesInFlight.isEmpty)
        #expect(snapshot.pastMoves.map(\.succeeded) == [false] && snapshot.pastMoves.map(\.endedAt) == [counts])

        let expired = ControllerNews.expired(order.id, vmName: "vm1", path, isAccepted: false)
        #expect(news(core.handle(.tick(at: counts + .seconds(1), identifier: "d1"))) == [expired])
        #expect(news(core.handle(.tick(at: counts + .seconds(9), identifier: "d2"))).isEmpty)
        let failure = OrderFailure(.expired, .order(.sourceSilent(h1)), .notLooked)
        let report = report("h2", 460, .failed(failure: failure))
        #expect(core.handle(.report(report, at: .second(460))).isEmpty, "the operator knows")
        #expect(news(core.handle(.tick(at: .second(470), identifier: "d3"))).isEmpty)
        #expect(core.orders[order.id]?.stage == .failed)
    }
}
