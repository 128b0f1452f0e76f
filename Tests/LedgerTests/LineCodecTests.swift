// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

struct LineCodecTests {
    private let record = LedgerRecord(writer: .operator, at: writtenAt, body: cancellation(7))

    private let place = Cursor(segment: 3, offset: 4096)

    private func read(_ line: some Sequence<UInt8>) -> Result<LedgerRecord<OrderRecord>, LineReader.NoRecord> {
        let bytes = Array(line)
        return LineReader(verifier: nil, now: writtenAt, reader: .controller, log: LedgerLog(.orders)).read(
            RawBatch.Line(at: place, bytes: bytes, length: bytes.count),
            as: OrderRecord.self
        ).map { read in
            guard case .whole(let entry) = read.body else { preconditionFailure("an order has no changes") }
            return LedgerRecord(writer: read.writer, at: read.at, body: entry)
        }
    }

    @Test
    func `an unsigned line is one JSON object with its fields in order`() throws {
        let line = try LineCodec.draft(record, signer: nil, limit: 1000).line(at: place)
        #expect(
            String(decoding: line, as: UTF8.self)
                == #"{"v":1,"kind":"orders","writer":"operator","at":1700000000000,"body":"#
                + #"{"cancel":{"at":7,"id":"order-7","reason":"test"}}}"# + "\n"
        )
        #expect(try read(line.dropLast()).get() == record)
    }

    @Test
    func `a signed line is one JSON object, and removing its signature gives the signed bytes`() throws {
        let key = SigningKey()
        let draft = try LineCodec.draft(record, signer: LineSigner(ledger: "cafe", key: key), limit: 1000)
        let line = try draft.line(at: place)
        #expect(line.count <= draft.maximumBytes)
        let start =
            #"{"v":2,"kind":"orders","writer":"operator","at":1700000000000,"place":"3:4096","ledger":"cafe","key":""#
            + key.verification.id + #"","body":{"cancel":{"at":7,"id":"order-7","reason":"test"}}"#
        let text = String(decoding: line, as: UTF8.self)
        #expect(text.hasPrefix(start + #","signature":""#) && text.hasSuffix("==\"}\n"))
        let signature = try #require(
            Data(base64Encoded: String(text.dropFirst(start.count + #","signature":""#.count).prefix(88)))
        )
        let signed = Array(("evenkeel record 2\n" + start + "}").utf8)
        #expect(key.verification.accepts(Array(signature), of: signed))
        let json = try #require(JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        #expect(json.count == 9)
        #expect(try read(line.dropLast()).get() == record)
    }

    @Test
    func `an unsigned line with additional fields is read`() throws {
        let line = try LineCodec.draft(record, signer: nil, limit: 1000).line(at: place)
        #expect(try read(line.dropLast(2) + #","more":"AAAA"}"#.utf8).get() == record)
    }

    @Test(arguments: [
        (#"{"v":3,"kind":"orders","new":[]}"#, SkippedLine.Reason.unknownVersion(3)),
        (
            #"{"v":1,"kind":"load","writer":"controller","at":1,"body":{}}"#,
            .unreadable("its kind is 'load', not 'orders'")
        ),
        (#"{"kind":"orders"}"#, .unreadable("the field 'v' is missing")),
        (#"{"v":"1","kind":"orders"}"#, .unreadable("the field 'v' has the wrong type")),
        (#"{"v":1,"kind":"orders","writer":"host:h1","at":1,"body":{"#, nil),
        (#"{"v":1,"kind":"orders","writer":"nobody","at":1,"body":{}}"#, .unreadable("'nobody' is not a writer")),
        (#"{"v":2,"kind":"orders","writer":"operator"}"#, .refused(.unsigned)),
        ("{\"v\":1,\"kind\":\"or\u{18}", .torn),
        ("", nil),
        ("\0\0\0\0", nil),
    ])
    func `an invalid line is rejected with its reason`(line: String, reason: SkippedLine.Reason?) {
        switch read(line.utf8) {
        case .success(let record): Issue.record("read \(record)")
        case .failure(let noRecord): #expect(reason == nil || noRecord.line.reason == reason)
        }
    }

    @Test(arguments: ["", "1", "1:", ":1", "1:2:3", "+1:2", "01:2", "1: 2", "1:x"])
    func `a position has exactly one text form`(text: String) {
        #expect(Cursor(text) == nil)
        #expect(Cursor("12:34") == Cursor(segment: 12, offset: 34))
    }

    @Test(arguments: [LedgerWriter.controller, .operator, .host(HostName("h1")), .host(HostName("a:b"))])
    func `a writer survives the conversion to text and back`(writer: LedgerWriter) {
        #expect(LedgerWriter(writer.description) == writer)
    }
}
