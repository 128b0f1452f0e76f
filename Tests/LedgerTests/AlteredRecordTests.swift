// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Ledger

/// Genuine records in which a part was changed.
@Suite(.timeLimit(.minutes(2)))
struct AlteredRecordTests {
    @Test(
        arguments: [
            (#""kind":"reports""#, #""kind":"lord""#, .altered, false),
            (#""writer":"host:h1""#, #""writer":"host:h2""#, .wrongSigner, false),
            (#""at":1700000000000"#, #""at":1700000000001"#, .altered, true),
            (#""place":"1:"#, #""place":"2:"#, .altered, true),
            (#""ledger":""#, #""ledger":"0"#, .altered, true),
            (#""order":"order-2""#, #""order":"order-3""#, .altered, true),
            (#""host":"h1""#, #""host":"h2""#, .altered, false),
            (#","signature":""#, #","sig":"AA","signature":""#, .altered, false),
            (#""v":2"#, #""v":1"#, .unsigned, true),
        ] as [(String, String, LedgerRemarks.Kind, Bool)]
    )
    func `a record with a changed field is refused`(
        _ field: String,
        _ other: String,
        _ kind: LedgerRemarks.Kind,
        countsWhereNothingIsVerified: Bool
    ) async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(report(2))
            var lines = try ledger.lines()
            let place = try #require(lines[1].lastRange(of: field), "\(field)")
            lines[1].replaceSubrange(place, with: Array(other.utf8))
            try ledger.put(lines)
            let read = try await ledger.verified()
            #expect(read.numbers == [1])
            #expect(read.remarks.entries.map(\.kind) == [kind] && read.remarks.refused.count == 1)
            if countsWhereNothingIsVerified {
                let believed = try await ledger.believed().numbers
                #expect(believed == [1, 2])
            }
        }
    }

    @Test func `a record is refused whichever byte of it is changed`() async throws {
        var random = SplitMix64.announced("whicheverOfItsBytes")
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(report(2, text: "é"))
            let genuine = try ledger.lines()
            var believed = 0
            // Each byte once, and two or three bytes in the remaining runs.
            for run in 0..<(genuine[1].count + 200) {
                var line = genuine[1]
                let count = run < line.count ? 1 : Int.random(in: 2...3, using: &random)
                for _ in 0..<count {
                    let index = run < line.count ? run : Int.random(in: 0..<line.count, using: &random)
                    line[index] ^= UInt8.random(in: 1...255, using: &random)
                }
                guard line != genuine[1] else { continue }
                try ledger.put([genuine[0], line])
                let read = try await ledger.verified()
                #expect(read.numbers == [1], "\(String(decoding: line, as: UTF8.self))")
                #expect(!read.remarks.isEmpty)
                if try await ledger.believed().numbers.count > 1 { believed += 1 }
            }
            #expect(believed > 20, "changes in figures and signature are believed by who does not verify")
        }
    }

    @Test func `two lines that exchange their positions are both refused`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(report(2))
            try ledger.put(try ledger.lines().reversed())
            let read = try await ledger.verified()
            #expect(read.numbers.isEmpty && read.remarks.count(.wrongPlace, of: h1) == 2)
            #expect(try await ledger.believed().numbers == [2, 1])
        }
    }
}
