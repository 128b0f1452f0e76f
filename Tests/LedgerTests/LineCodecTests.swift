// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Ledger

struct LineCodecTests {
    private let record = LedgerRecord(writer: .host(HostName("h1")), at: writtenAt, body: cancellation(7))

    @Test
    func aLineIsOneJSONObjectWithItsFieldsInOrder() throws {
        let line = String(decoding: try LineCodec.encode(record, limit: 1000), as: UTF8.self)
        #expect(
            line == #"{"v":1,"kind":"orders","writer":"host:h1","at":1700000000000,"body":"#
                + #"{"cancel":{"at":7,"id":"order-7","reason":"test"}}}"# + "\n"
        )
    }

    @Test
    func readsALineThatHasMoreFieldsSuchAsASignature() throws {
        var line = String(decoding: try LineCodec.encode(record, limit: 1000).dropLast(2), as: UTF8.self)
        line += #","signature":"AAAA"}"#
        let read = LineCodec.decode(Array(line.utf8), as: OrderRecord.self)
        #expect(try read.get() == record)
    }

    @Test(arguments: [
        (#"{"v":2,"kind":"orders","new":[]}"#, SkippedLine.Reason.unknownVersion(2)),
        (
            #"{"v":1,"kind":"load","writer":"controller","at":1,"body":{}}"#,
            .unreadable("its kind is 'load', not 'orders'")
        ),
        (#"{"kind":"orders"}"#, .unreadable("the field 'v' is missing")),
        (#"{"v":"1","kind":"orders"}"#, .unreadable("the field 'v' has another type")),
        (#"{"v":1,"kind":"orders","writer":"host:h1","at":1,"body":{"#, nil),
        (#"{"v":1,"kind":"orders","writer":"nobody","at":1,"body":{}}"#, .unreadable("'nobody' is no writer")),
        ("{\"v\":1,\"kind\":\"or\u{18}", .torn),
        ("", nil),
        ("\0\0\0\0", nil),
    ])
    func saysWhyALineIsNoRecord(line: String, reason: SkippedLine.Reason?) {
        switch LineCodec.decode(Array(line.utf8), as: OrderRecord.self) {
        case .success(let record): Issue.record("read \(record)")
        case .failure(let unreadable): #expect(reason == nil || unreadable.reason == reason)
        }
    }

    @Test(arguments: [LedgerWriter.controller, .operator, .host(HostName("h1")), .host(HostName("a:b"))])
    func aWriterIsOneWordAndBack(writer: LedgerWriter) {
        #expect(LedgerWriter(writer.description) == writer)
    }
}
