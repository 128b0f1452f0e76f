// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

struct SealedPropertyTests {
    @Test func whateverHappensTheVMEndsOnExactlyOneHost() {
        let first = UInt64.random(in: 0...UInt64.max / 2)
        print("sealed moves, first seed \(first)")
        var ends: [String: Int] = [:]
        for seed in first..<first + 2000 {
            var world = SealedWorld(seed: seed)
            for _ in 0..<400 { world.step() }
            world.isCalm = true
            var steps = 0
            while steps < 20_000, !world.isOver {
                world.step()
                steps += 1
            }
            let log = world.log.joined(separator: "\n")
            #expect(world.violations == [], "seed \(seed)\n\(log)")
            #expect(world.isOver, "seed \(seed) does not end\n\(log)")
            #expect(world.sourceRuns != world.targetRuns, "seed \(seed)\n\(log)")
            #expect(world.saves <= 1, "seed \(seed): begun twice\n\(log)")
            let final = world.ledger.first { $0.step.isFinal }?.step
            switch final {
            case .done: #expect(world.targetRuns, "seed \(seed)\n\(log)")
            case .failed(let failure)?:
                #expect(failure.kind != .inDoubt && world.sourceRuns, "seed \(seed)\n\(log)")
            default: break
            }
            ends[world.end, default: 0] += 1
            if !world.violations.isEmpty || !world.isOver { break }
        }
        print("sealed moves ended: \(ends.sorted { $0.key < $1.key })")
        // Every way to end was gone.
        for way in ["done", "declined", "withdrawn", "never offered"] { #expect(ends[way, default: 0] > 0, "\(way)") }
    }
}

extension SealedWorld {
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
        var handover = OrderLife(order)
        for report in ledger { handover.apply(report) }
        guard case .returned = handover.handover else { return "never offered" }
        return ledger.contains { if case .declined = $0.step { true } else { false } } ? "declined" : "withdrawn"
    }
}
