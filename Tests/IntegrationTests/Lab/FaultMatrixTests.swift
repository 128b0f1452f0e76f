// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Lab
import Testing

/// The most important cells of the fault matrix; `make fault-matrix` runs more of them.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("FaultMatrixTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct FaultMatrixTests {
    /// One cell of each kind: an agent on either side, libvirtd, the network, a host.
    private static let important = [
        FaultCell(.sourceAgent, .kill, .copying, .ipsec),
        FaultCell(.targetAgent, .kill, .switchOver, .ipsec),
        FaultCell(.sourceLibvirtd, .kill, .copying, .tls),
        FaultCell(.link, .stop, .switchOver, .ipsec),
        FaultCell(.sourceHost, .kill, .saving, .sealed),
    ]

    /// All in one lab: bringing up a lab takes longer than a cell.
    @Test(.timeLimit(.minutes(40)))
    func `the most important faults break no rule`() async throws {
        try await HostLab.down(site: TestLab.site)
        let lab = try await HostLab.up(FaultBench.plan, site: TestLab.site)
        let result: Result<Void, any Error>
        do {
            result = .success(try await Self.run(in: lab))
        } catch {
            result = .failure(error)
        }
        try await Task { try await HostLab.down(site: TestLab.site) }.value
        #expect(try HostLab.leftovers(site: TestLab.site).isEmpty)
        try result.get()
    }

    private static func run(in lab: HostLab) async throws {
        let began = ContinuousClock.now
        var bench = try FaultBench(lab: lab, programs: TestLab.builtPrograms) { line in
            print("\((ContinuousClock.now - began).formatted(.units(allowed: [.seconds])))  \(line)")
        }
        try await bench.prepare()
        for (number, cell) in zip(1..., important) {
            let result = try await bench.run(cell, number: number)
            print("\(result.verdict.rawValue): \(cell): \(result.summary), \(Int(result.seconds)) s")
            #expect(result.violations.isEmpty, "\(cell): \(result.notes)")
            #expect(result.verdict != .missed, "\(cell): \(result.notes)")
            guard result.verdict != .broken else {
                let folder = FileManager.default.temporaryDirectory.appending(path: "evenkeel-fault-evidence").path
                try? FileManager.default.removeItem(atPath: folder)
                try await lab.keepEvidence(in: folder)
                print("evidence: \(folder)")
                // What follows would run in a lab that is out of order.
                return
            }
        }
    }
}
