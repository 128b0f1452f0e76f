// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Ledger

/// Lines of samples that state only what has changed.
@Suite(.timeLimit(.minutes(2)))
struct SampleLinesTests {
    private static let log = LedgerLog(.load, of: h1)

    /// A ledger in which h1 writes with a clock that shows each sample's time.
    private final class World: Sendable {
        let folder: String
        private let security: LedgerSecurity
        private let readersSecurity: LedgerSecurity
        private let segmentBytes: Int
        private let clock = Mutex(writtenAt)
        private let writer = Mutex<SharedLog?>(nil)

        init(folder: String, signed: Bool, segmentBytes: Int) {
            let cluster = TestCluster()
            self.folder = folder
            self.segmentBytes = segmentBytes
            security = signed ? cluster.security(of: h1) : .unsigned
            readersSecurity = signed ? cluster.readersSecurity : .unsigned
        }

        var files: SegmentFiles { SegmentFiles(ledger: folder, log: SampleLinesTests.log) }

        /// Makes the next append that of an agent that has just started.
        func restart() { writer.withLock { $0 = nil } }

        func append(_ sample: LoadSample, clock time: Instant? = nil) async throws {
            clock.withLock { $0 = time ?? sample.at }
            var options = SharedLog.Options()
            options.segmentBytes = segmentBytes
            let (folder, security) = (folder, security)
            let log = writer.withLock { writer in
                let log =
                    writer
                    ?? SharedLog(
                        folder: folder,
                        writer: h1,
                        security: security,
                        options: options,
                        now: { [weak self] in self?.clock.withLock { $0 } ?? writtenAt }
                    )
                writer = log
                return log
            }
            try await log.append(sample)
        }

        /// A reader that knows nothing yet.
        func reader(at time: Instant = writtenAt + .seconds(86400)) -> SharedLog {
            SharedLog(folder: folder, writer: .controller, security: readersSecurity, now: { time })
        }

        /// The lines of a segment, without their newlines.
        func lines(_ number: Int = 1) throws -> [[UInt8]] {
            try contents(of: files.path(number)).split(separator: LineCodec.newline).map { Array($0) }
        }

        func put(_ lines: [[UInt8]]) throws {
            try LedgerTests.put(lines.flatMap { $0 + [LineCodec.newline] }, into: files.path(1))
        }

        /// Whether each line of a segment is whole.
        func whole(_ number: Int = 1) throws -> [Bool] { try lines(number).map { !Self.isChange($0) } }

        static func isChange(_ line: [UInt8]) -> Bool {
            String(decoding: line, as: UTF8.self).contains(#""body":{"basis":"#)
        }
    }

    private func with(
        signed: Bool = true,
        segmentBytes: Int = 4 << 20,
        _ body: (World) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try await body(World(folder: folder, signed: signed, segmentBytes: segmentBytes))
        }
    }

    private static func samples(_ count: Int, vms: Int = 6, seed: UInt64 = 1, onlyFigures: Bool = true) -> [LoadSample]
    {
        var samples = RandomSamples(of: "h1", vms: vms, seed: seed, onlyFigures: onlyFigures, from: writtenAt)
        return (0..<count).map { _ in samples.next() }
    }

    @Test(arguments: UInt64(1)...6)
    func `all samples are read as they were, across restarts and segments, from any place`(seed: UInt64) async throws {
        try await with(signed: seed.isMultiple(of: 2), segmentBytes: 30_000) { world in
            var random = SplitMix64(seed: seed)
            let samples = Self.samples(150, seed: seed, onlyFigures: false)
            let running = world.reader()
            var follower = SampleFollower()
            var followed: [LoadSample] = []
            for sample in samples {
                if random.below(20) == 0 { world.restart() }
                try await world.append(sample)
                guard random.below(3) == 0 else { continue }
                _ = try await follower.readNew(in: running, .everything) { followed.append($0) }
            }
            _ = try await follower.readNew(in: running, .everything) { followed.append($0) }
            #expect(followed == samples)
            let read = try await world.reader().allSamples()
            #expect(read.samples == samples && read.remarks.isEmpty)

            let numbers = try world.files.numbers()
            let whole = try numbers.map { try world.whole($0) }
            #expect(numbers.count > 2 && whole.allSatisfy { $0.first == true }, "each segment stands alone")
            #expect(whole.joined().contains(false))

            // A reader that starts at any place reads the basis at its own.
            var cursor: Cursor?
            for sample in samples {
                let batch = try await world.reader().read(
                    LoadSample.self,
                    in: Self.log,
                    from: cursor,
                    limit: 1,
                    selecting: nil
                )
                #expect(batch.records.map(\.body) == [sample] && batch.skipped.isEmpty)
                cursor = batch.next
            }
        }
    }

    @Test func `a sample is whole at the agent's start and once a minute`() async throws {
        try await with { world in
            for (index, sample) in Self.samples(40).enumerated() {
                if index == 15 { world.restart() }
                try await world.append(sample)
            }
            let whole = try world.whole()
            #expect(whole.indices.filter { whole[$0] } == [0, 12, 15, 27, 39])
        }
    }

    @Test func `less than half of the bytes are written`() async throws {
        try await with { world in
            for sample in Self.samples(36, vms: 30) { try await world.append(sample) }
            let lines = try world.lines()
            let whole = lines.filter { !World.isChange($0) }
            let written = lines.reduce(0) { $0 + $1.count }
            #expect(whole.count == 3)
            #expect(written * 2 < whole.reduce(0) { $0 + $1.count } * 12, "\(written) bytes")
        }
    }

    @Test func `the sample after a failed append is whole`() async throws {
        try await with { world in
            let samples = Self.samples(4)
            for sample in samples[..<2] { try await world.append(sample) }
            try FileManager.default.moveItem(atPath: world.folder, toPath: "\(world.folder).away")
            await #expect(throws: LedgerError.self) { try await world.append(samples[2]) }
            try FileManager.default.moveItem(atPath: "\(world.folder).away", toPath: world.folder)
            try await world.append(samples[3])
            #expect(try world.whole() == [true, false, true])
        }
    }

    @Test(arguments: [true, false])
    func `without its basis a line yields no sample, until the next whole one`(signed: Bool) async throws {
        try await with(signed: signed) { world in
            let samples = Self.samples(15)
            for sample in samples { try await world.append(sample) }
            var lines = try world.lines()
            // The unsigned line stays JSON: only its digest shows that it is not the same.
            let text = String(decoding: lines[0], as: UTF8.self)
            lines[0] = Array(text.replacing("Skylake", with: "Haswell").utf8)
            try world.put(lines)
            let read = try await world.reader().allSamples()
            #expect(read.samples.suffix(3) == samples.suffix(3))
            #expect(read.samples.count == (signed ? 3 : 4))
            #expect(read.remarks.count(.withoutBasis, of: h1) == 11)
            #expect(read.remarks.count(.altered) == (signed ? 1 : 0))
        }
    }

    @Test func `a reader that follows the log does not mix a replaced basis with older ones`() async throws {
        try await with(signed: false) { world in
            let samples = Self.samples(13)
            let reader = world.reader()
            var follower = SampleFollower()
            var seen: [LoadSample] = []
            for sample in samples[..<2] { try await world.append(sample) }
            _ = try await follower.readNew(in: reader, .everything) { seen.append($0) }
            world.restart()
            try await world.append(samples[2])
            try await world.append(samples[3])
            var lines = try world.lines()
            lines[2] = Array(repeating: UInt8(ascii: "x"), count: lines[2].count)
            try world.put(lines)
            let remarks = try await follower.readNew(in: reader, .everything) { seen.append($0) }
            #expect(seen == Array(samples[..<2]))
            #expect(remarks.count(.withoutBasis) == 1 && remarks.count(.unreadable) == 1)
        }
    }

    @Test func `a basis counts although its clock was ahead, and samples wait for the reader's clock`() async throws {
        try await with { world in
            let samples = Self.samples(3)
            let ahead = writtenAt + .seconds(3600)
            try await world.append(samples[0], clock: ahead)
            try await world.append(samples[1], clock: ahead)
            try await world.append(samples[2])
            var follower = SampleFollower()
            var seen: [LoadSample] = []
            _ = try await follower.readNew(in: world.reader(at: writtenAt), .everything) { seen.append($0) }
            #expect(seen == [samples[2]])
            _ = try await follower.readNew(in: world.reader(at: ahead), .everything) { seen.append($0) }
            #expect(seen == [samples[2], samples[0], samples[1]])
        }
    }

    @Test func `a reader of recent samples completes those that it chooses`() async throws {
        try await with { world in
            let samples = Self.samples(360)
            for sample in samples { try await world.append(sample) }
            let now = samples[359].at
            let history = LedgerHistory.recent(
                ended: .seconds(86400),
                samples: .seconds(1200),
                thinned: true,
                at: now
            )
            let read = try await world.reader(at: now).allSamples(history)
            #expect(read.remarks.isEmpty && Array(read.samples.suffix(24)) == Array(samples.suffix(24)))
            #expect(read.samples.count < 100 && read.samples.allSatisfy { samples.contains($0) })
        }
    }

    @Test func `an earlier version does not take a change for a sample`() async throws {
        try await with { world in
            for sample in Self.samples(2) { try await world.append(sample) }
            let line = String(decoding: try world.lines()[1], as: UTF8.self)
            let begin = try #require(line.range(of: #""body":"#)?.upperBound)
            let end = try #require(line.range(of: #","signature""#)?.lowerBound)
            // Earlier versions decode each body in this way, and count it as not understood.
            #expect(throws: DecodingError.self) {
                try JSONDecoder().decode(LoadSample.self, from: Data(line[begin..<end].utf8))
            }
        }
    }

    @Test func `nothing rests on a long sample, and only so many are kept`() async throws {
        try await with { world in
            var samples = Self.samples(2, vms: 1500)
            try await world.append(samples[0])
            try await world.append(samples[1])
            #expect(try world.whole() == [true, true])
            samples = Self.samples(2)
            let mark = LedgerMark(at: .origin, line: [1])
            #expect(SampleBasis(samples[0], mark, bytes: SampleBasis.longestLine + 1) == nil)
            let bases = SampleBases()
            for number in 0..<2500 {
                bases[LedgerLog(.load, of: .host(HostName("h\(number)")))] = SampleBasis(samples[0], mark, bytes: 1)
            }
            #expect(bases.count <= 1000 && bases[LedgerLog(.load, of: .host(HostName("h2499")))] != nil)
        }
    }

    @Test(arguments: [-1, 0, 1, 999_999, Int64.max, Int64.min])
    func `a line that names a place without its basis yields no sample`(offset: Int64) async throws {
        try await with(signed: false) { world in
            for sample in Self.samples(2) { try await world.append(sample) }
            var lines = try world.lines()
            let text = String(decoding: lines[1], as: UTF8.self)
            let named = text.replacing(#""offset":0"#, with: #""offset":\#(offset)"#)
                .replacing(#""digest":""#, with: offset == 0 ? #""digest":"0"# : #""digest":""#)
            lines[1] = Array(named.utf8)
            try world.put(lines)
            let read = try await world.reader().allSamples()
            #expect(read.samples.count == 1 && read.remarks.count(.withoutBasis) == 1)
        }
    }
}
