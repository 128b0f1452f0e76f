// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Ledger

struct RemarkLogTests {
    private func remarks(
        _ count: Int,
        _ refusal: RecordRefusal = .altered,
        of writer: LedgerWriter? = h1
    ) -> LedgerRemarks {
        var remarks = LedgerRemarks()
        for _ in 0..<count {
            let line = SkippedLine(at: .origin, bytes: 1, writer: writer, reason: .refused(refusal))
            remarks.add(line, in: .load)
        }
        return remarks
    }

    @Test func `a flood of forged lines is logged once a minute with its count`() {
        var log = RemarkLog()
        var said: [LedgerRemarks.Entry] = []
        for second in 0..<121 {
            said += log.due(remarks(1000), at: writtenAt + .seconds(second))
        }
        #expect(said.map(\.count) == [1000, 60_000, 60_000])
    }

    @Test func `records that are not understood are logged once a day`() {
        var remarks = LedgerRemarks()
        remarks.add(
            SkippedLine(at: .origin, bytes: 1, writer: h1, reason: .notUnderstood("the step 'x'")),
            in: .reports
        )
        var log = RemarkLog()
        #expect(log.due(remarks, at: writtenAt).map(\.description) == ["reports: \(remarks.entries[0].example)"])
        #expect(log.due(remarks, at: writtenAt + .seconds(3600)).isEmpty)
        #expect(log.due(remarks, at: writtenAt + .seconds(86400)).map(\.count) == [2])
    }

    @Test func `each kind and writer is logged at once, and none suppresses another`() {
        var log = RemarkLog()
        #expect(log.due(remarks(1), at: writtenAt).count == 1)
        #expect(log.due(remarks(1, of: h2), at: writtenAt).count == 1)
        #expect(log.due(remarks(1, .unsigned), at: writtenAt).count == 1)
        #expect(log.due(LedgerRemarks(), at: writtenAt + .seconds(61)).isEmpty)
    }

    @Test func `a clock that is set back suppresses nothing`() {
        var log = RemarkLog()
        _ = log.due(remarks(1), at: writtenAt)
        #expect(log.due(remarks(1), at: writtenAt - .seconds(3600)).count == 1)
    }

    @Test func `names that no key confirms are counted together`() async throws {
        try await AttackedLedger.with { ledger in
            for number in 1...20 {
                let name = HostName("made-up-\(number)")
                let security = TestCluster.forger(of: .host(name), with: SigningKey())
                try await ledger.forge(.host(name), security).append(report(number, host: name))
            }
            let read = try await ledger.verified()
            #expect(read.remarks.entries.count == 1 && read.remarks.count(.unknownWriter) == 20)
        }
    }
}
