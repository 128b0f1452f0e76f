// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

struct SealedPropertyTests {
    /// Once agents live and can read everything again, after up to five minutes of all that may go wrong.
    @Test func whateverHappensTheVMEndsOnExactlyOneHost() {
        let first = UInt64.random(in: 0...UInt64.max / 2)
        print("sealed moves, first seed \(first)")
        var ends: [String: Int] = [:]
        for seed in first..<first + 200 {
            let world = SealedWorld.run(seed)
            ends[world.end, default: 0] += 1
            let problems = world.problems
            guard !problems.isEmpty else { continue }
            let log = (SealedWorld.run(seed, isLogged: true).log ?? []).joined(separator: "\n")
            Issue.record("seed \(seed): \(problems)\n\(log)")
            break
        }
        print("sealed moves ended: \(ends.sorted { $0.key < $1.key })")
        // Rarer, and not in every such set: withdrawn.
        for way in ["done", "declined", "never offered"] { #expect(ends[way, default: 0] > 0, "\(way)") }
    }

    @Test(arguments: [Mutation.restoresUnreleased, .takesBackReleased])
    func anAgentThatActsOnWhatIsNotItsOwnIsCaught(_ mutation: Mutation) {
        let first = UInt64.random(in: 0...UInt64.max / 2)
        let caught = (first..<first + 400).first { !SealedWorld.run($0, mutations: [mutation]).violations.isEmpty }
        #expect(caught != nil, "\(mutation), from seed \(first) on")
    }
}

extension SealedWorld {
    fileprivate static func run(_ seed: UInt64, mutations: Set<Mutation> = [], isLogged: Bool = false) -> SealedWorld {
        var world = SealedWorld(seed: seed, mutations: mutations, isLogged: isLogged)
        for _ in 0..<1000 { world.step() }
        world.calmDown()
        for _ in 0..<20_000 where !world.isOver { world.step() }
        return world
    }

    fileprivate var problems: [String] {
        var problems = violations
        if saves > 1 { problems.append("it was begun twice") }
        // Shut down without anybody's word: a person is told.
        if wasShutDown { return problems }
        if !isOver { problems.append("it does not end") }
        if sourceRuns == targetRuns { problems.append("it runs on \(sourceRuns ? "both" : "neither")") }
        switch ledger.first(where: { $0.step.isFinal })?.step {
        case .done: if !targetRuns { problems.append("done, and not there") }
        case .failed(let failure)?:
            if failure.kind == .inDoubt || !sourceRuns { problems.append("failed, and not here: \(failure.text)") }
        default: break
        }
        return problems
    }

    /// Whether the order has ended and everybody knows.
    fileprivate var isOver: Bool {
        late.isEmpty && ledger.contains { $0.step.isFinal }
            && agents.allSatisfy { agent in
                agent.read == ledger.count && agent.pending.isEmpty
                    && agent.core?.orders.values.allSatisfy { $0.stage.isFinal } == true
            }
    }

    fileprivate var end: String {
        if ledger.contains(where: { if case .done = $0.step { true } else { false } }) { return "done" }
        var life = OrderLife(order)
        for report in ledger { life.apply(report) }
        guard case .returned = life.handover.phase else { return "never offered" }
        return ledger.contains { if case .declined = $0.step { true } else { false } } ? "declined" : "withdrawn"
    }
}
