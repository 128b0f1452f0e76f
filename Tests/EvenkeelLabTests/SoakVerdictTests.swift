// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import evenkeel_lab

/// The evaluation of synthetic series: 360 readings over an hour, of which the first 5 minutes do not count.
struct SoakVerdictTests {
    private static let mebibyte: Int64 = 1 << 20

    /// Returns a reading of a program that is flat at 20 MiB and uses 0.2 % of a core; `change` alters it.
    private static func reading(_ at: Double, _ change: (inout SoakReading) -> Void = { _ in }) -> SoakReading {
        var reading = SoakReading(
            at: at,
            process: ProcessFigures(
                residentBytes: 35 * mebibyte,
                privateBytes: 20 * mebibyte,
                descriptors: 15,
                threads: 9,
                cpuSeconds: at * 0.002,
                commandSeconds: at * 0.001
            ),
            files: FileFigures(files: 12, bytes: 40_000)
        )
        change(&reading)
        return reading
    }

    private static func verdict(
        limits: SoakLimits = SoakLimits(),
        readings: Int = 360,
        _ change: (inout SoakReading) -> Void = { _ in }
    ) -> SoakVerdict {
        let series = SoakSeries(
            subject: "agent h1",
            isProgram: true,
            readings: (0..<readings).map { reading(Double($0) * 10, change) }
        )
        return SoakVerdict(series, phase: "real time", warmUp: 300, limits: limits)
    }

    /// Returns noise from -1 to 1 that depends on the time alone.
    private static func noise(_ at: Double) -> Double {
        let mixed = (UInt64(at) &* 0x9e37_79b9_7f4a_7c15) >> 40
        return Double(mixed) / Double(1 << 23) - 1
    }

    @Test func `a flat series passes`() {
        let verdict = Self.verdict()
        #expect(verdict.passed && verdict.findings.isEmpty)
        #expect(verdict.points.map(\.privateBytes) == Array(repeating: 20 * Self.mebibyte, count: 3))
        #expect(verdict.points.map(\.at) == verdict.points.map(\.at).sorted())
        #expect(verdict.points.first.map { $0.at >= 300 } == true)
    }

    @Test func `noise of 3 MiB, short-lived descriptors, threads and files pass`() {
        let verdict = Self.verdict { reading in
            let noise = Self.noise(reading.at)
            reading.process?.privateBytes += Int64(noise * 3 * Double(Self.mebibyte))
            // Every other reading sees a command that is being run.
            if noise > 0 {
                reading.process?.descriptors += 6
                reading.process?.threads += 3
                reading.files.files += 1
            }
        }
        #expect(verdict.passed, "\(verdict.findings)")
    }

    @Test func `growth during the warm-up alone passes`() {
        let verdict = Self.verdict { reading in
            reading.process?.privateBytes -= Int64(max(0, 300 - reading.at) * 40_000)
            reading.process?.descriptors -= reading.at < 300 ? 5 : 0
        }
        #expect(verdict.passed, "\(verdict.findings)")
    }

    @Test func `a leak of 3 MiB per hour fails, also within noise`() {
        func leak(_ amplitude: Double) -> [SoakFinding] {
            Self.verdict { reading in
                let noise = Self.noise(reading.at) * amplitude
                reading.process?.privateBytes += Int64((reading.at / 3600 * 3 + noise) * Double(Self.mebibyte))
            }.findings
        }
        guard case .memoryGrew(let from, let to, let limit)? = leak(0).first else {
            Issue.record("the leak was not found: \(leak(0))")
            return
        }
        #expect(to - from > limit && limit == 2 * Self.mebibyte)
        #expect(leak(0.2).count == 1)
    }

    @Test func `a controller's memory may grow with the samples that it keeps, and not otherwise`() {
        var limits = SoakLimits()
        limits.memoryPerSample = 32 << 10
        func verdict(growth: Int64, faster: Bool) -> SoakVerdict {
            Self.verdict(limits: limits) { reading in
                // 1 sample a second, later 2: 120 more in two minutes, or 3.75 MiB.
                reading.samples = Int(reading.at) + (faster ? max(0, Int(reading.at) - 1800) : 0)
                if reading.at > 1800 { reading.process?.privateBytes += growth * Self.mebibyte }
            }
        }
        #expect(verdict(growth: 5, faster: true).passed)
        #expect(!verdict(growth: 6, faster: true).passed)
        #expect(!verdict(growth: 3, faster: false).passed)
        limits.memoryGrowth = nil
        #expect(verdict(growth: 600, faster: false).passed)
    }

    @Test func `the largest memory since the start counts, also between two readings`() {
        var limits = SoakLimits()
        limits.residentBytes = 40 * Self.mebibyte
        let verdict = Self.verdict(limits: limits) { $0.process?.peakResidentBytes = 41 * Self.mebibyte }
        #expect(verdict.findings == [.memoryAboveLimit(bytes: 41 * Self.mebibyte, limit: 40 * Self.mebibyte)])
    }

    @Test func `too few moves, and a log that grows with the samples, fail a phase`() {
        #expect(SoakReport.Moves(ordered: 29, done: 15, fewest: 15).passed)
        #expect(!SoakReport.Moves(ordered: 29, done: 14, fewest: 15).passed)
        #expect(SoakReport.LogGrowth(path: "a", bytes: 1000, samples: 100, limit: 10).passed)
        #expect(!SoakReport.LogGrowth(path: "a", bytes: 1001, samples: 100, limit: 10).passed)
        #expect(SoakReport.LogGrowth(path: "a", bytes: 1_000_000, samples: 100, limit: nil).passed)
    }

    @Test func `one descriptor more at the end fails`() {
        let verdict = Self.verdict { reading in
            if reading.at > 3000 { reading.process?.descriptors += 1 }
        }
        #expect(verdict.findings == [.descriptorsGrew(from: 15, to: 16)])
    }

    @Test func `threads that grow in both halves fail, and one late worker passes`() {
        let steady = Self.verdict { reading in
            reading.process?.threads += Int(reading.at / 1200)
        }
        #expect(steady.findings == [.threadsGrew(from: 9, to: 11)])
        let late = Self.verdict { reading in
            if reading.at > 2000 { reading.process?.threads += 2 }
        }
        #expect(late.passed)
        let many = Self.verdict { reading in
            if reading.at > 2000 { reading.process?.threads += 3 }
        }
        #expect(many.findings == [.threadsGrew(from: 9, to: 12)])
    }

    @Test func `files that grow in number or size fail`() {
        let number = Self.verdict { $0.files.files += Int($0.at / 100) }
        #expect(number.findings.count == 1)
        if case .filesGrew? = number.findings.first {} else { Issue.record("\(number.findings)") }
        let size = Self.verdict { $0.files.bytes += Int64($0.at * 1000) }
        if case .fileBytesGrew? = size.findings.first {} else { Issue.record("\(size.findings)") }
        var bounded = SoakLimits()
        bounded.fileBytesGrowth = nil
        bounded.fileBytes = 3_000_000
        #expect(!Self.verdict(limits: bounded) { $0.files.bytes += Int64($0.at * 1000) }.passed)
        #expect(Self.verdict(limits: bounded) { $0.files.bytes += Int64($0.at * 500) }.passed)
        #expect(Self.verdict(limits: bounded) { $0.files.files += Int($0.at / 100) }.passed, "the bytes have a limit")
    }

    @Test func `an agent above its limits of memory and CPU fails`() {
        var limits = SoakLimits()
        limits.residentBytes = 40 * Self.mebibyte
        limits.cpuShare = 0.005
        #expect(Self.verdict(limits: limits).passed)
        let once = Self.verdict(limits: limits) { reading in
            if reading.at == 1000 { reading.process?.residentBytes = 41 * Self.mebibyte }
        }
        #expect(once.findings == [.memoryAboveLimit(bytes: 41 * Self.mebibyte, limit: 40 * Self.mebibyte)])
        // The commands that a program runs count too: 0.2 % and 0.4 %.
        let busy = Self.verdict(limits: limits) { $0.process?.commandSeconds *= 4 }
        guard case .cpuAboveLimit(let share, _)? = busy.findings.first else {
            Issue.record("\(busy.findings)")
            return
        }
        #expect(abs(share - 0.006) < 1e-9)
    }

    @Test func `a program that ended fails, and so does a series that is too short`() {
        var series = SoakSeries(subject: "agent h1", isProgram: true)
        series.readings = (0..<100).map { Self.reading(Double($0) * 10) }
        series.readings.append(SoakReading(at: 1000, process: nil, files: FileFigures()))
        series.endedAt = 1000
        let ended = SoakVerdict(series, phase: "real time", warmUp: 300, limits: SoakLimits())
        #expect(ended.findings.contains(.ended(at: 1000)) && !ended.passed)
        #expect(Self.verdict(readings: 38).findings == [.tooFewReadings(8)])
        #expect(Self.verdict(readings: 39).passed)
    }

    @Test func `a part of a ledger has files and no process`() {
        var series = SoakSeries(subject: "ledger: samples", isProgram: false)
        series.readings = (0..<100).map { SoakReading(at: Double($0), process: nil, files: FileFigures(files: 5)) }
        let verdict = SoakVerdict(series, phase: "high speed", warmUp: 10, limits: SoakLimits())
        #expect(verdict.passed && verdict.cpuShare == nil && verdict.peakResidentBytes == nil)
    }
}
