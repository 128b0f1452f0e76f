// SPDX-License-Identifier: Apache-2.0
import HostOS
import Lab
import Testing

@testable import evenkeel_lab

/// The short soak: real agents and controllers, whose memory, threads, descriptors and files must not grow.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("SoakTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct SoakTests {
    @Test(.timeLimit(.minutes(6)))
    func `nothing grows in agents and controllers that run for a short time`() async throws {
        // The possible remains of a killed run.
        try await HostLab.down(site: TestLab.site)
        let soak = Soak(plan: .short, site: TestLab.site, programs: TestLab.builtPrograms) { print("soak: \($0)") }
        // Ctrl-C ends the soak, which then takes its lab down.
        let report = try await cancellingOnShutdownSignals { try await soak.run() }
        print(report.text)
        #expect(report.passed)
        #expect(report.phases.flatMap(\.verdicts).count == 14)
        #expect(
            report.phases.flatMap(\.series).allSatisfy { series in
                !series.isProgram || series.readings.allSatisfy { $0.process != nil }
            }
        )
        #expect(try HostLab.leftovers(site: TestLab.site).isEmpty)
    }
}
