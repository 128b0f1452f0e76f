// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

/// Records that a newer version wrote: genuine, and only partly understood.
struct OtherVersionTests {
    private let key = SigningKey()
    private let place = Cursor(segment: 3, offset: 4096)

    /// Returns a line with this body, signed by h1 or unsigned.
    private func line(_ body: String, of stream: LedgerStream, by writer: LedgerWriter, signed: Bool) throws -> [UInt8]
    {
        let version = signed ? LineCodec.signedVersion : LineCodec.unsignedVersion
        let head = #"{"v":\#(version),"kind":"\#(stream.rawValue)","writer":"\#(writer)","at":1700000000000"#
        let signer = signed ? LineSigner(ledger: "id", key: key) : nil
        return try LineDraft(head: Array(head.utf8), body: Array(body.utf8), signer: signer).line(at: place).dropLast()
    }

    private func read<Entry: LedgerEntry>(
        _ body: String,
        as entries: Entry.Type,
        by writer: LedgerWriter = h1,
        signed: Bool
    ) throws -> LedgerBatch<Entry> {
        let bytes = try line(body, of: Entry.stream, by: writer, signed: signed)
        let roster = Roster(
            cluster: "test",
            number: 1,
            issuedAt: writtenAt,
            anchors: [],
            members: [TestCluster.member(writer, key)]
        )
        let verifier = signed ? RecordVerifier(ledger: "id", roster: roster) : nil
        let reader = LineReader(verifier: verifier, now: writtenAt, reader: .operator, log: LedgerLog(Entry.stream))
        var changes = SampleExpansion(reader: reader, basis: nil) { _, _ in nil }
        return try RawBatch(lines: [RawBatch.Line(at: place, bytes: bytes, length: bytes.count)], next: place)
            .decoded(as: entries, by: reader, completing: &changes)
    }

    @Test(arguments: [true, false]) func `a report with an unknown step is kept, counted, and said to need an update`(
        signed: Bool
    ) throws {
        let body = #"{"order":"o1","host":"h1","at":5,"step":{"teleported":{"to":"mars"}}}"#
        let batch = try read(body, as: OrderReport.self, signed: signed)
        #expect(batch.records.map(\.body.step) == [.notUnderstood(step: "teleported")])
        #expect(batch.records.map(\.body.order) == [OrderID("o1")] && batch.skipped.isEmpty)
        let remark = try #require(batch.remarks.entries.first)
        #expect(remark.kind == .notUnderstood && !remark.kind.isRefusal && remark.writer == h1)
        #expect(remark.example.contains("the step 'teleported'") && remark.example.contains("Update this program."))
    }

    @Test(arguments: [true, false]) func `a record of an unknown kind is neither forged nor torn`(signed: Bool) throws {
        let batch = try read(#"{"freeze":{"at":5}}"#, as: OrderRecord.self, by: .operator, signed: signed)
        #expect(batch.records.isEmpty && batch.remarks.entries.map(\.kind) == [.notUnderstood])
        let sample = #"{"host":"h1","at":5,"channels":["warp"],"failures":[]}"#
        #expect(try read(sample, as: LoadSample.self, signed: signed).remarks.entries.map(\.kind) == [.notUnderstood])
    }

    @Test func `a line that is no JSON stays unreadable`() throws {
        let batch = try read(#"{"order":"#, as: OrderReport.self, signed: true)
        #expect(batch.remarks.entries.map(\.kind) == [.unreadable])
    }

    @Test func `a failure of an unknown kind is an end in doubt, with its text`() throws {
        let body =
            #"{"order":"o1","host":"h1","at":5,"step":{"failed":{"failure":{"kind":"eaten","reason":"by a grue","#
            + #""code":"grue","runsOn":"h1","preflight":[{"check":"aura","host":"h1","reason":"dark"}]}}}}"#
        let report = try #require(try read(body, as: OrderReport.self, signed: true).records.first?.body)
        guard case .failed(let failure) = report.step else {
            Issue.record("not an end: \(report.step)")
            return
        }
        #expect(
            failure.kind == .inDoubt && failure.text.contains("by a grue") && failure.whereabouts == .at(HostName("h1"))
        )
    }
}
