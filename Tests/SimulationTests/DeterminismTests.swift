// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// A seed determines a run completely.
struct DeterminismTests {
    private func log(seed: UInt64) throws -> [String] {
        var lines: [String] = []
        _ = try Torture().run(seed: seed) { lines.append($0) }
        return lines
    }

    @Test func `the same seed gives the same events, and other seeds give others`() throws {
        let logs = try (UInt64(1)...2).map { try log(seed: $0) }
        #expect(logs.allSatisfy { $0.count > 20 })
        for (index, first) in logs.enumerated() {
            #expect(try log(seed: UInt64(index + 1)) == first, "seed \(index + 1)")
        }
        #expect(Set(logs).count == logs.count)
    }

    @Test func `the same settings give the same measures`() throws {
        func measures() throws -> Measures {
            var settings = SmallWorld.ring()
            settings.policy = Torture.policy
            settings.baseline = ProxLBBaseline()
            let world = World(settings)
            try world.run()
            return world.measures
        }
        #expect(try measures() == measures())
    }

    @Test func `reading the log does not affect the run`() throws {
        let quiet = try Torture().run(seed: 4)
        let told = try Torture().run(seed: 4) { _ in }
        #expect(quiet == told)
    }

    @Test func `running in steps gives the same result as running at once`() throws {
        let settings = Torture().settings(seed: 5)
        let (whole, parts) = (World(settings), World(settings))
        try whole.run()
        while try parts.run(for: .seconds(7)) {}
        #expect(whole.measures == parts.measures)
        #expect(whole.simulatedSeconds == parts.simulatedSeconds)
    }
}
