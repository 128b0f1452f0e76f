// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import EvenkeelCLI

/// The report of a manual order's outcome.
@Suite struct ManualOrderTests {
    private func move(_ stage: FleetView.Stage, _ verdict: Evidence.Verdict) -> FleetView.Move {
        let now = Instant(milliseconds: 1_795_687_216_459)
        let order = MigrationOrder(
            id: OrderID("o1"),
            vm: VMID("u"),
            vmName: "web1",
            source: HostName("h1"),
            target: HostName("h2"),
            channel: .tls,
            issuedAt: now,
            expires: now,
            issuer: .operator,
            reason: "a test"
        )
        let evidence = Evidence(channel: .tls, bytesOnPath: 1, bytesByHypervisor: 2, verdict: verdict)
        return FleetView.Move(order: order, stage: stage, changedAt: now, evidence: evidence)
    }

    @Test func `a move is reported as a success only if it was made and nothing leaked`() throws {
        try ManualOrder.check(move(.done, .covered))
        try ManualOrder.check(move(.done, .unprotected))
        // An unproven move has not leaked; `evenkeel verify` decides that.
        try ManualOrder.check(move(.done, .unknown))
        #expect(throws: ManualOrderError.self) { try ManualOrder.check(move(.failed, .covered)) }
        let leak = #expect(throws: ManualOrderError.self) { try ManualOrder.check(move(.done, .leak)) }
        let text = try #require(leak).description
        for word in [
            "web1: moved h1 → h2 (evidence: leak)", "LEAK", "evenkeel verify o1", "tls between h1 and h2 is closed",
        ] {
            #expect(text.contains(word), "\(text)")
        }
        // The alert of a failure is kept next to the evidence.
        var failed = move(.failed, .leak)
        failed.failure = OrderFailure(.inDoubt, .other("web1 RUNS ON BOTH"), .unknown)
        let both = #expect(throws: ManualOrderError.self) { try ManualOrder.check(failed) }
        let words = try #require(both).description
        #expect(words.contains("web1 RUNS ON BOTH") && words.contains("LEAK"), "\(words)")
    }
}
