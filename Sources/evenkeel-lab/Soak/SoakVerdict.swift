// SPDX-License-Identifier: Apache-2.0

/// The evaluation of one subject: its figures at the beginning, in the middle and at the end, and what grew.
struct SoakVerdict: Codable, Sendable, Equatable {
    /// Number of readings after the warm-up that is needed for a verdict.
    static let fewestReadings = 9

    let phase: String
    let subject: String
    /// Beginning (after the warm-up), middle and end; empty if there were too few readings.
    let points: [SoakPoint]
    /// The largest resident memory, in bytes: since the program's start if the kernel tells it, otherwise of the
    /// readings after the warm-up.
    let peakResidentBytes: Int64?
    /// CPU after the warm-up as a share of one core: of the program, and of the commands that it ran.
    let cpuShare: Double?
    let commandShare: Double?
    let limits: SoakLimits
    let findings: [SoakFinding]
    let passed: Bool

    /// `warmUp`: the time in seconds at the beginning that does not count.
    init(_ series: SoakSeries, phase: String, warmUp: Double, limits: SoakLimits) {
        let counted = series.readings.filter { $0.at >= warmUp }
        let processes = counted.compactMap { reading in reading.process.map { (at: reading.at, figures: $0) } }
        self.phase = phase
        subject = series.subject
        self.limits = limits
        points =
            counted.count < Self.fewestReadings ? [] : SoakPoint.three(of: counted, history: series.readings)
        peakResidentBytes = processes.map { max($0.figures.residentBytes, $0.figures.peakResidentBytes ?? 0) }.max()
        if let first = processes.first, let last = processes.last, last.at > first.at {
            let elapsed = last.at - first.at
            cpuShare = (last.figures.cpuSeconds - first.figures.cpuSeconds) / elapsed
            commandShare = (last.figures.commandSeconds - first.figures.commandSeconds) / elapsed
        } else {
            (cpuShare, commandShare) = (nil, nil)
        }
        var findings: [SoakFinding] = []
        if let endedAt = series.endedAt { findings.append(.ended(at: endedAt)) }
        if points.isEmpty { findings.append(.tooFewReadings(counted.count)) }
        if points.count == 3 { findings += Self.growth(points[0], points[1], points[2], limits) }
        if let limit = limits.residentBytes, let peak = peakResidentBytes, peak > limit {
            findings.append(.memoryAboveLimit(bytes: peak, limit: limit))
        }
        if let limit = limits.cpuShare, let cpuShare, let commandShare, cpuShare + commandShare > limit {
            findings.append(.cpuAboveLimit(share: cpuShare + commandShare, limit: limit))
        }
        self.findings = findings
        passed = findings.isEmpty
    }

    /// Returns what grew more than the limits allow.
    private static func growth(
        _ beginning: SoakPoint,
        _ middle: SoakPoint,
        _ end: SoakPoint,
        _ limits: SoakLimits
    ) -> [SoakFinding] {
        var findings: [SoakFinding] = []
        if let limit = limits.memoryGrowth, let before = beginning.privateBytes, let after = end.privateBytes {
            let more = max(0, (end.retained ?? 0) - (beginning.retained ?? 0))
            let allowed = limit + Int64(more) * limits.memoryPerSample
            if after - before > allowed {
                findings.append(.memoryGrew(from: before, to: after, limit: allowed))
            }
        }
        if let before = beginning.descriptors, let after = end.descriptors, after - before > limits.descriptorGrowth {
            findings.append(.descriptorsGrew(from: before, to: after))
        }
        if let before = beginning.threads, let between = middle.threads, let after = end.threads {
            let goesOn = before < between && between < after
            if after - before > (goesOn ? limits.threadGrowth / 2 : limits.threadGrowth) {
                findings.append(.threadsGrew(from: before, to: after))
            }
        }
        // Where the bytes have a limit, the files follow from it.
        if limits.fileBytes == nil, end.files - beginning.files > limits.fileGrowth {
            findings.append(.filesGrew(from: beginning.files, to: end.files))
        }
        if let limit = limits.fileBytesGrowth, end.fileBytes - beginning.fileBytes > limit {
            findings.append(.fileBytesGrew(from: beginning.fileBytes, to: end.fileBytes, limit: limit))
        }
        if let limit = limits.fileBytes, let largest = [beginning, middle, end].map(\.fileBytes).max(), largest > limit
        {
            findings.append(.filesAboveLimit(bytes: largest, limit: limit))
        }
        return findings
    }
}

/// The figures of a subject around one moment, from a tenth of the readings.
///
/// Sizes are medians. Counts are minima: a command or a call that runs at the moment of a reading adds to them, and a
/// leak raises the minimum too.
struct SoakPoint: Codable, Sendable, Equatable {
    /// In seconds since the beginning of the phase.
    var at: Double
    var privateBytes: Int64?
    var residentBytes: Int64?
    var descriptors: Int?
    var threads: Int?
    var files: Int
    var fileBytes: Int64
    /// Number of samples in the controller's history; `nil` if samples were not counted.
    var retained: Int?

    /// Returns the beginning, the middle and the end of the readings, of which there must be at least three.
    ///
    /// `history`: all readings, also those of the warm-up.
    static func three(of readings: [SoakReading], history: [SoakReading]) -> [SoakPoint] {
        guard readings.count >= 3 else { return [] }
        let width = max(3, readings.count / 10)
        let last = readings.count - width
        return [0, last / 2, last].map { SoakPoint(readings[$0..<($0 + width)], history) }
    }

    private init(_ readings: ArraySlice<SoakReading>, _ history: [SoakReading]) {
        let processes = readings.compactMap(\.process)
        let middle = readings[readings.startIndex + readings.count / 2]
        at = middle.at
        retained = middle.samples.map { written in
            written - (history.last { $0.at <= middle.at - SoakPlan.retainedSeconds }?.samples ?? 0)
        }
        privateBytes = processes.map(\.privateBytes).median
        residentBytes = processes.map(\.residentBytes).median
        descriptors = processes.map(\.descriptors).min()
        threads = processes.map(\.threads).min()
        files = readings.map(\.files.files).min() ?? 0
        fileBytes = readings.map(\.files.bytes).median ?? 0
    }
}

extension [Int64] {
    /// The middle value, or the upper one of two; `nil` for an empty list.
    fileprivate var median: Int64? { isEmpty ? nil : sorted()[count / 2] }
}
