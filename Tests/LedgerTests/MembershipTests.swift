// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Ledger

/// Permission to write while the roster changes.
@Suite(.timeLimit(.minutes(2)))
struct MembershipTests {
    /// Returns the reason for which an append of report 2 is refused.
    private func refusal(of log: SharedLog) async throws -> String? {
        do { try await log.append(report(2)) } catch let error as LedgerError {
            guard case .notAMember(_, let reason) = error else { throw error }
            return reason
        }
        return nil
    }

    @Test func `an append whose record would not count is refused with a reason`() async throws {
        try await AttackedLedger.with { ledger in
            let before = try ledger.lines()
            let roster = ledger.cluster.roster
            let strange = SigningKey()
            let stranger = LedgerWriter.host(HostName("stranger"))
            func log(_ writer: LedgerWriter, _ key: SigningKey?) -> SharedLog {
                ledger.forge(writer, .signed(by: key) { roster.roster })
            }
            #expect(try await refusal(of: log(h1, nil)) == "this program has no signing key")
            #expect(try await refusal(of: log(stranger, strange)) == "roster 1 does not list it")
            let id = strange.verification.id
            #expect(try await refusal(of: log(h1, strange)) == "key \(id) is not its key in roster 1")
            let h2s = ledger.cluster.key(of: h2)
            #expect(try await refusal(of: log(h1, h2s))?.contains(h2s.verification.id) == true)
            let h1s = ledger.open(h1)
            ledger.cluster.revoke(h1, at: writtenAt, ends: [:])
            let words = "it was removed from the cluster on \(writtenAt.readable): stolen; 'evenkeel host add h1 "
            #expect(try await refusal(of: h1s)?.hasPrefix(words) == true)
            #expect(try ledger.lines() == before)
        }
    }

    @Test func `a removed host's later records do not count, whatever time they name`() async throws {
        try await AttackedLedger.with { ledger in
            let end = try await ledger.open(.controller).read(OrderReport.self, from: nil).next
            let stolen = TestCluster.forger(of: h1, with: ledger.cluster.key(of: h1))
            ledger.cluster.revoke(h1, at: writtenAt + .seconds(10), ends: ["reports": end])
            // Its time is that of the valid record and before the revocation's.
            try await ledger.forge(h1, stolen, clock: writtenAt).append(report(2))
            let read = try await ledger.verified()
            #expect(read.numbers == [1] && read.remarks.count(.revoked, of: h1) == 1)
            #expect(
                read.remarks.entries.first?.example.contains(
                    "removed from the cluster on \((writtenAt + .seconds(10)).readable): stolen"
                ) == true
            )
            #expect(try await ledger.believed().numbers == [1, 2])
        }
    }

    @Test func `if a stream's end is unknown, none of a removed host's records in it count`() async throws {
        try await AttackedLedger.with { ledger in
            let log = ledger.open(h1, clock: writtenAt)
            try await log.append(report(2))
            // The time does not matter: the removed host chooses it.
            ledger.cluster.revoke(h1, at: writtenAt + .seconds(10), ends: ["load": Cursor(segment: 1, offset: 0)])
            let read = try await ledger.verified()
            #expect(read.numbers == [] && read.remarks.count(.revoked, of: h1) == 2)
        }
    }

    @Test func `a host that the roster adds counts from then on`() async throws {
        try await AttackedLedger.with { ledger in
            let key = SigningKey()
            let new = LedgerWriter.host(HostName("h3"))
            let reader = ledger.open(.controller)
            let writer = ledger.forge(new, .signed(by: key) { [roster = ledger.cluster.roster] in roster.roster })
            await #expect(throws: LedgerError.self) { try await writer.append(report(3, host: HostName("h3"))) }
            ledger.cluster.roster.roster.members.append(TestCluster.member(new, key))
            try await writer.append(report(3, host: HostName("h3")))
            let batch = try await reader.all(OrderReport.self)
            #expect(batch.records.map(\.body.number) == [1, 3] && batch.skipped.isEmpty)
        }
    }

    @Test func `a record signed with a retired key still counts`() async throws {
        try await AttackedLedger.with { ledger in
            let key = SigningKey()
            var roster = ledger.cluster.roster.roster
            for index in roster.members.indices where roster.members[index].name == h1 {
                roster.members[index].keys.insert(key.verification, at: 0)
            }
            ledger.cluster.roster.roster = roster
            let renewed = ledger.forge(h1, .signed(by: key) { [roster] in roster })
            try await renewed.append(report(2))
            let read = try await ledger.verified()
            #expect(read.numbers == [1, 2] && read.remarks.isEmpty)
        }
    }

    @Test func `a ledger without an ID is not opened as a signed one`() async throws {
        try await AttackedLedger.with { ledger in
            try put(#"{"format":1}"#.utf8, into: "\(ledger.folder)/ledger.json")
            let error = LedgerError.withoutIdentity(path: "\(ledger.folder)/ledger.json")
            await #expect(throws: error) { try await ledger.open(h1).append(report(2)) }
            await #expect(throws: error) { _ = try await ledger.verified() }
            try await ledger.forge(h1, .unsigned).append(report(2))
            #expect(try await ledger.believed().numbers == [1, 2])
        }
    }
}
