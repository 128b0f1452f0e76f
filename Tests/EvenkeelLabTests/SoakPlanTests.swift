// SPDX-License-Identifier: Apache-2.0
import Lab
import Testing

@testable import evenkeel_lab

/// The lengths and limits of full and short soaks.
struct SoakPlanTests {
    private static let plans = [SoakPlan(), .short, SoakPlan(samples: 100, realTime: .seconds(60))]

    @Test(arguments: plans) func `every plan has a valid lab and enough readings for a verdict`(plan: SoakPlan) {
        #expect(plan.lab.problems.isEmpty)
        #expect(plan.lab.hosts.contains { $0.number == SoakPlan.simulatedHost })
        #expect(!plan.lab.guests.contains { $0.host == HostPlan(number: SoakPlan.simulatedHost).name })
        for phase in [plan.realTime, plan.fast] {
            // A phase at high speed lasts at least as long as its samples take.
            let shortest =
                phase == plan.fast && !plan.isShort
                ? Double(plan.samples) * phase.samplingInterval : phase.seconds
            #expect((shortest - phase.warmUp) / phase.readingInterval > Double(SoakVerdict.fewestReadings), "\(phase)")
        }
    }

    @Test func `the goals of the issue are judged in a full run with a release build`() {
        let plan = SoakPlan()
        let agent = plan.limits(of: .agent(simulated: true), in: plan.realTime, isRelease: true)
        #expect(agent.residentBytes == 40 << 20 && agent.cpuShare == 0.005)
        #expect(agent.memoryGrowth == 2 << 20 && agent.descriptorGrowth == 0)
        #expect(plan.limits(of: .agent(simulated: true), in: plan.realTime, isRelease: false).residentBytes == nil)
        #expect(plan.limits(of: .controller, in: plan.realTime, isRelease: true).memoryGrowth == 2 << 20)
        #expect(plan.fewestSamples(in: plan.fast, hosts: 1) == 100_000)
        #expect(plan.fewestMoves == 15)
        #expect(plan.logBytesPerSample(in: plan.fast) == 10)
        #expect(plan.realTime.seconds == 3600 && plan.realTime.samplingInterval == 5)
    }

    @Test func `a controller's memory at high speed is judged once its two minutes of samples are complete`() {
        let full = SoakPlan()
        #expect(full.limits(of: .controller, in: full.fast, isRelease: true).memoryGrowth != nil)
        #expect(SoakPlan.short.limits(of: .controller, in: SoakPlan.short.fast, isRelease: true).memoryGrowth == nil)
        #expect(
            SoakPlan.short.limits(of: .agent(simulated: true), in: SoakPlan.short.fast, isRelease: true).memoryGrowth
                != nil
        )
    }

    @Test func `the samples of a ledger are bounded for each host`() {
        let plan = SoakPlan()
        let limits = plan.limits(of: .samples(hosts: 1), in: plan.fast, isRelease: true)
        #expect(limits.fileBytes == 65 << 20 && limits.fileBytesGrowth == nil)
        #expect(plan.limits(of: .samples(hosts: 3), in: plan.fast, isRelease: true).fileBytes == 193 << 20)
    }

    @Test func `the short soak judges memory like the full one, and needs 500 samples`() {
        let plan = SoakPlan.short
        #expect(plan.limits(of: .agent(simulated: true), in: plan.fast, isRelease: false).memoryGrowth == 2 << 20)
        #expect(plan.fewestSamples(in: plan.fast, hosts: 1) == 500)
        #expect(plan.fewestMoves == 0 && plan.logBytesPerSample(in: plan.fast) == nil)
    }

    @Test func `the short soak lasts less than a minute without the lab's start`() {
        #expect(SoakPlan.short.realTime.seconds + SoakPlan.short.fast.seconds < 60)
    }
}
