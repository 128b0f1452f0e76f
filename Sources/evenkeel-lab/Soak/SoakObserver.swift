// SPDX-License-Identifier: Apache-2.0
import Fleet
import Lab

/// Something that is observed during a soak.
struct SoakSubject: Sendable {
    enum Kind: Sendable, Equatable {
        case agent(simulated: Bool)
        case controller
        /// The samples of this number of hosts in a ledger, of which it drops old ones.
        case samples(hosts: Int)
        /// Everything else in a ledger's folder.
        case otherRecords
    }

    var name: String
    var kind: Kind
    /// `nil`: it has only files.
    var process: Int32?
    var files: WatchedFiles
}

/// Reads the figures of all subjects at even intervals.
struct SoakObserver {
    let subjects: [SoakSubject]

    /// Observes until `isDone` or the phase's time is over, or a program has ended.
    ///
    /// `samples` returns the number of samples so far, at each reading. `isDone` receives the time in seconds since
    /// the beginning, after each reading.
    func observe(
        _ phase: SoakPhase,
        samples: () -> Int,
        isDone: (Double, [SoakSeries]) -> Bool
    ) async throws -> [SoakSeries] {
        var series = subjects.map { SoakSeries(subject: $0.name, isProgram: $0.process != nil) }
        let clock = ContinuousClock()
        let start = clock.now
        var next = start
        while true {
            let elapsed = (clock.now - start).inSeconds
            let written = samples()
            for (index, subject) in subjects.enumerated() {
                let figures = subject.process.flatMap { ProcessFigures.read($0) }
                if subject.process != nil, figures == nil { series[index].endedAt = elapsed }
                series[index].readings.append(
                    SoakReading(at: elapsed, process: figures, files: subject.files.figures(), samples: written)
                )
            }
            let hasEnded = series.contains { $0.endedAt != nil }
            if isDone(elapsed, series) || elapsed >= phase.seconds || hasEnded { return series }
            next = max(next + .milliseconds(Int64(phase.readingInterval * 1000)), clock.now)
            try await clock.sleep(until: next)
        }
    }
}
