// SPDX-License-Identifier: Apache-2.0
import Fleet
import Ledger
import TestSupport
import Testing

struct InMemoryLedgerTests {
    @Test
    func `an outage fails every writer until it ends, and loses nothing`() async throws {
        let ledger = InMemoryLedger(writer: .controller)
        let agent = ledger.writing(as: .host(HostName("h1")))
        try await agent.append(sample(1))
        let outage = LedgerError.storageFull(path: "memory")
        ledger.fail(with: outage)
        await #expect(throws: outage) { try await agent.append(sample(2)) }
        await #expect(throws: outage) { try await ledger.read(LoadSample.self, from: nil) }
        ledger.fail(with: nil)
        try await agent.append(sample(3))
        #expect(try await ledger.all(LoadSample.self).records.map(\.body.number) == [1, 3])
    }
}
