// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

struct InstantTests {
    @Test func `durations are exact to the millisecond`() {
        let instant = Instant(milliseconds: 1_000_000_000_123)
        #expect((instant + .milliseconds(1500)) - instant == .milliseconds(1500))
        #expect(instant - .seconds(1) < instant)
        #expect(Duration.milliseconds(1500).inSeconds == 1.5)
        #expect(Duration.microseconds(1999).wholeMilliseconds == 1)
    }

    @Test func `times outside the range of computation are refused`() throws {
        for far in [Int64.max, .min, 1 << 53] {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(Instant.self, from: Data("\(far)".utf8)) }
        }
        #expect(try JSONDecoder().decode(Instant.self, from: Data("-1".utf8)).milliseconds == -1)
    }

    @Test(arguments: [
        (0, "1970-01-01 00:00:00Z"), (1_709_164_799_999, "2024-02-28 23:59:59Z"),
        (1_709_164_800_000, "2024-02-29 00:00:00Z"), (1_709_251_200_000, "2024-03-01 00:00:00Z"),
        (951_868_799_000, "2000-02-29 23:59:59Z"), (4_107_542_400_000, "2100-03-01 00:00:00Z"),
        (1_798_675_199_000, "2026-12-30 23:59:59Z"), (-1, "1969-12-31 23:59:59Z"),
    ])
    func `times are shown in UTC`(milliseconds: Int64, text: String) {
        #expect(Instant(milliseconds: milliseconds).readable == text)
    }

    @Test func `every day is formatted as Foundation formats it`() throws {
        // From 1600 on: before the Gregorian reform Foundation uses the Julian calendar.
        for day in stride(from: -135_000, through: 200_000, by: 17) {
            let date = Date(timeIntervalSince1970: Double(day) * 86400)
            let expected = date.formatted(.iso8601).replacing("T", with: " ")
            #expect(Instant(milliseconds: Int64(day) * 86_400_000).readable == expected)
        }
    }

    @Test func `records survive JSON`() throws {
        let failure = OrderFailure(.refused, .other("no room"), .at(HostName("h1")))
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
