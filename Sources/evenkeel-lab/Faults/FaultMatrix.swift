// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Foundation
import Lab

/// Runs the drawn cells in one lab, and in a new one after each broken rule.
struct FaultMatrix: Sendable {
    let cells: [FaultCell]
    /// The number of the first cell.
    let first: Int
    let folder: String
    let isJSON: Bool
    private let earlier: FaultReport
    private let began = ContinuousClock.now
    private let steps: FileHandle

    /// Opens or creates the report's folder; everything in it stays.
    ///
    /// `first`: the place of the first cell in the draw; `nil`: the cells follow those of the report.
    init(cells: [FaultCell], first: Int?, origin: FaultReport.Origin, folder: String, isJSON: Bool) throws {
        earlier = try FaultReport.inFolder(folder, origin: origin)
        self.first = first ?? earlier.next
        (self.cells, self.folder, self.isJSON) = (cells, folder, isJSON)
        if let number = earlier.conflict(with: self.first..<(self.first + cells.count)) {
            throw FaultReportError.taken(number: number, folder: folder, next: earlier.next)
        }
        let files = FileManager.default
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let log = "\(folder)/steps.log"
        if !files.fileExists(atPath: log) { _ = files.createFile(atPath: log, contents: nil) }
        steps = try FileHandle(forWritingTo: URL(filePath: log))
        try steps.seekToEnd()
    }

    /// Prints a line with the time since the start, and writes it to `steps.log`.
    func step(_ line: String) {
        let seconds = Units.decimals((ContinuousClock.now - began) / .seconds(1), 1)
        let text = String(repeating: " ", count: max(0, 8 - seconds.count)) + "\(seconds) s  \(line)"
        if isJSON { printError(text) } else { printLine(text) }
        try? steps.write(contentsOf: Data("\(text)\n".utf8))
    }

    /// Runs all cells and takes its own lab down, also after a failure or cancellation.
    ///
    /// The report's files are written after each cell, so that an interrupted run keeps its results. Throws if the
    /// lab cannot be taken down.
    func run() async throws -> FaultReport {
        var report = earlier
        var bench: FaultBench?
        let result: Result<Void, any Error>
        do { result = .success(try await run(into: &report, in: &bench)) } catch { result = .failure(error) }
        if bench != nil {
            do { try await down() } catch {
                if case .success = result { throw error }
                step("\(error)")
            }
        }
        try result.get()
        return report
    }

    /// `bench` is the bench of the lab that runs now; `nil` if none runs.
    private func run(into report: inout FaultReport, in bench: inout FaultBench?) async throws {
        for (number, cell) in zip(first..., cells) {
            var ready: FaultBench
            if let bench { ready = bench } else { ready = try await makeBench() }
            bench = ready
            step("== \(number), \(number - first + 1) of \(cells.count): \(cell)")
            let result = try await ready.run(cell, number: number)
            step("\(result.verdict.rawValue): \(cell): \(result.summary) (\(Units.seconds(result.seconds)))")
            report.add(result, number: number)
            try report.write(to: folder)
            bench = ready
            guard result.verdict == .broken else { continue }
            let name = "\(number)-\(cell.description.replacing("/", with: "-"))"
            step("evidence: \(folder)/evidence/\(name)")
            do { try await ready.lab.keepEvidence(in: "\(folder)/evidence/\(name)") } catch {
                try Task.checkCancellation()
                step("evidence is incomplete: \(error)")
            }
            bench = nil
            try await down()
        }
    }

    /// Starts a lab, and tries a second time if that fails: a long run must not end because of a slow start.
    private func makeBench() async throws -> FaultBench {
        do {
            return try await makeBenchOnce()
        } catch {
            try Task.checkCancellation()
            guard Self.isWorthAnotherStart(after: error) else { throw error }
            step("the lab did not start, trying again: \(error)")
            return try await makeBenchOnce()
        }
    }

    /// Whether a second start may succeed: not if the machine lacks something, or if another lab runs.
    static func isWorthAnotherStart(after error: any Error) -> Bool {
        switch error {
        case LabError.alreadyUp, LabError.notPossibleHere, LabError.badPlan, LabError.left: false
        default: true
        }
    }

    /// Starts a lab; leaves none if it throws, and never touches one that it did not start.
    private func makeBenchOnce() async throws -> FaultBench {
        let programs = try Programs.nextToThisProcess()
        // It cleans up itself if it fails.
        let lab = try await HostLab.up(FaultBench.plan) { step("lab: \($0)") }
        do {
            let bench = try FaultBench(lab: lab, programs: programs) { step($0) }
            try await bench.prepare()
            return bench
        } catch {
            do { try await down() } catch let failure { step("\(failure)") }
            throw error
        }
    }

    /// Takes the lab down; throws if anything of it remains.
    private func down() async throws {
        // In a separate task: in a cancelled one every wait of the clean-up would throw at once.
        try await Task { try await HostLab.down() }.value
    }
}
