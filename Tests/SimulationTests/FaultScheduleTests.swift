// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Simulation

/// Faults drawn from a seed.
struct FaultScheduleTests {
    private func schedule(_ level: FaultLevel, hosts: Int = 5, hours: Int64 = 48, seed: UInt64) -> [ScheduledFault] {
        ScheduledFault.schedule(level, hosts: hosts, until: .seconds(3600 * hours), seed: seed)
    }

    @Test(arguments: FaultLevel.allCases)
    func `a schedule depends only on the seed, is in order and ends in time`(_ level: FaultLevel) {
        for seed in UInt64(1)...20 {
            let faults = schedule(level, seed: seed)
            #expect(faults == schedule(level, seed: seed), "seed \(seed)")
            #expect(faults.isEmpty == (level == .none), "seed \(seed)")
            #expect(zip(faults, faults.dropFirst()).allSatisfy { $0.at <= $1.at }, "seed \(seed)")
            #expect(
                faults.allSatisfy { $0.at > .zero && $0.lasts > .zero && $0.end <= .seconds(172_800) },
                "seed \(seed)"
            )
            if level != .none { #expect(faults != schedule(level, seed: seed + 100), "seed \(seed)") }
        }
    }

    @Test(arguments: [(FaultLevel.light, 13.3), (.heavy, 320), (.torture, 7680)])
    func `a level sets the number of faults`(_ level: FaultLevel, _ expected: Double) {
        // Five hosts, two days.
        let counts = (UInt64(1)...40).map { Double(schedule(level, seed: $0).count) }
        let mean = counts.reduce(0, +) / Double(counts.count)
        #expect(abs(mean / expected - 1) < 0.15, "\(mean)")
    }

    @Test func `every kind of fault occurs`() {
        let kinds = Set(schedule(.torture, seed: 1).map { String("\($0.fault)".prefix { $0 != "(" }) })
        #expect(kinds == Set(OneFault.all.map { String("\($0.fault)".prefix { $0 != "(" }) }))
    }

    @Test func `faults concern only existing hosts`() {
        for hosts in 1...3 {
            for scheduled in schedule(.torture, hosts: hosts, seed: 7) {
                let numbers = "\(scheduled.fault)".matches(of: /host(?:: |\()(\d+)/).compactMap { Int($0.output.1) }
                #expect(numbers.allSatisfy { (0..<hosts).contains($0) }, "\(scheduled)")
                if case .partition(let one, let other) = scheduled.fault { #expect(one != other) }
            }
        }
    }

    @Test func `the fleet has time to settle after its faults`() {
        var settings = SmallWorld.ring()
        let before = settings.duration
        settings.add(.none)
        #expect(settings.duration == before && settings.faults.isEmpty)
        settings.add(.torture)
        #expect(settings.faults.allSatisfy { $0.end <= before })
        #expect(settings.duration > before + Invariants.settlingTime(settings.policy))
    }
}
