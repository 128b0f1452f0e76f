// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// The remains of failed moves, which wait for an operator.
struct LeftCopiesTests {
    @Test func `a fleet settles even if paused copies are left on many hosts`() {
        for seed in UInt64(1)...2 {
            var settings = Torture().settings(seed: seed)
            settings.improvement = 200
            settings.faults = stride(from: Int64(0), to: 300, by: 20).flatMap { second in
                settings.hosts.indices.map {
                    let fault = Fault.answerLost(host: $0, resumes: true)
                    return ScheduledFault(at: .seconds(second), lasts: .seconds(20), fault: fault)
                }
            }
            let broken = violation(of: settings)
            #expect(broken == nil, "seed \(seed): \(broken?.description ?? "")")
        }
    }
}
