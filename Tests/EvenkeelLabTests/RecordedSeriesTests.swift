// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import evenkeel_lab

/// Series that `evenkeel lab probe` recorded on a busy machine of two cores: guests under software emulation on hosts
/// with half a core each, so that the round trips are long and scatter.
struct RecordedSeriesTests {
    @Test func `sixty seconds without a move show no move`() throws {
        let detection = MoveDetection(try Self.series("quiet"))
        #expect(detection.verdict != .detected)
        #expect(detection.signs.isEmpty)
    }

    @Test func `a move over IPsec shows copying and a gap of half a second`() throws {
        // Ordered 15 s after the start; the hypervisor gave 6.5 s in all and 412 ms of downtime.
        let detection = MoveDetection(try Self.series("ipsec-move"))
        #expect(detection.verdict == .detected)
        #expect(Set(detection.signs).isSuperset(of: [.raisedLevel, .moreScatter]))
        #expect(detection.began.map { (15...23).contains($0) } == true)
        #expect(detection.gap.map { (0.4...0.6).contains($0.seconds) && (26...29).contains($0.from) } == true)
    }

    @Test func `a move in the clear shows as a gap and a changed level`() throws {
        // Ordered 15 s after the start; the hypervisor gave 1.8 s in all and 544 ms of downtime.
        let detection = MoveDetection(try Self.series("plain-move"))
        #expect(detection.verdict == .detected && detection.signs == [.shiftedLevel])
        #expect(detection.gap.map { (0.544...0.70).contains($0.seconds) } == true)
    }

    private struct Recorded: Decodable {
        var interval: Double
        var ended: Double
        var sentAtMicroseconds: [Double]
        /// -1: no answer.
        var roundTripMicroseconds: [Double]
    }

    private static func series(_ name: String) throws -> ProbeSeries {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
        let file = tests.appending(path: "RecordedProbes/\(name).json")
        let recorded = try JSONDecoder().decode(Recorded.self, from: Data(contentsOf: file))
        let echoes = zip(recorded.sentAtMicroseconds, recorded.roundTripMicroseconds).map { sentAt, roundTrip in
            ProbeSeries.Echo(sentAt: sentAt / 1e6, roundTrip: roundTrip < 0 ? nil : roundTrip / 1e6)
        }
        return ProbeSeries(interval: recorded.interval, echoes: echoes, ended: recorded.ended)
    }
}
