// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

struct InstantTests {
    @Test func durationsAreExactToTheMillisecond() {
        let instant = Instant(milliseconds: 1_000_000_000_123)
        #expect((instant + .milliseconds(1500)) - instant == .milliseconds(1500))
        #expect(instant - .seconds(1) < instant)
        #expect(Duration.milliseconds(1500).inSeconds == 1.5)
        #expect(Duration.microseconds(1999).wholeMilliseconds == 1)
    }

    @Test func timesThatCannotBeReckonedWithAreRefused() throws {
        for far in [Int64.max, .min, 1 << 53] {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(Instant.self, from: Data("\(far)".utf8)) }
        }
        #expect(try JSONDecoder().decode(Instant.self, from: Data("-1".utf8)).milliseconds == -1)
    }

    @Test func recordsSurviveJSON() throws {
        let failure = OrderFailure(kind: .refused, reason: "no room", runsOn: HostName("h1"))
        let report = OrderReport(
            order: OrderID("o1"),
            host: HostName("h1"),
            at: Instant(milliseconds: 5),
            step: .failed(failure: failure)
        )
        let data = try JSONEncoder().encode(report)
        #expect(try JSONDecoder().decode(OrderReport.self, from: data) == report)
    }
}
