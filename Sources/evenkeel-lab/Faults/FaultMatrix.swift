// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Foundation
import Lab

/// Runs the drawn cells in one lab, and in a new one after each broken rule.
struct FaultMatrix: Sendable {
    let cells: [FaultCell]
    let seed: UInt64?
    let folder: String
    let isJSON: Bool
    private let began = ContinuousClock.now
    private let steps: FileHandle

    /// Creates the report's folder; removes the evidence of an earlier run.
    init(cells: [FaultCell], seed: UInt64?, folder: String, isJSON: Bool) throws {
        (self.cells, self.seed, self.folder, self.isJSON) = (cells, seed, folder, isJSON)
        let files = FileManager.default
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        if files.fileExists(atPath: "\(folder)/evidence") { try files.removeItem(atPath: "\(folder)/evidence") }
        _ = files.createFile(atPath: "\(folder)/steps.log", contents: nil)
        steps = try FileHandle(forWritingTo: URL(filePath: "\(folder)/steps.log"))
    }

    /// Prints a line with the time since the start, and writes it to `steps.log`.
    func say(_ line: String) {
        let seconds = Units.decimals((ContinuousClock.now - began) / .seconds(1), 1)
        let text = String(repeating: " ", count: max(0, 8 - seconds.count)) + "\(seconds) s  \(line)"
        if isJSON { printError(text) } else { printLine(text) }
        try? steps.write(contentsOf: Data("\(text)\n".utf8))
    }

    /// Runs all cells and takes the lab down, also after a failure or cancellation.
    ///
    /// The report's files are written after each cell, so that an interrupted run keeps its results.
    func run() async throws -> FaultReport {
        var report = FaultReport(seed: seed)
        do {
            try await run(into: &report)
        } catch {
            await takeDown()
            throw error
        }
        await takeDown()
        return report
    }

    private func run(into report: inout FaultReport) async throws {
        var bench: FaultBench?
        for (number, cell) in cells.enumerated() {
            var ready: FaultBench
            if let bench { ready = bench } else { ready = try await makeBench() }
            say("== \(number + 1) of \(cells.count): \(cell)")
            let result = try await ready.run(cell)
            say("\(result.verdict.rawValue): \(cell): \(result.summary) (\(Units.seconds(result.seconds)))")
            report.results.append(result)
            try report.write(to: folder)
            bench = ready
            guard result.verdict == .broken else { continue }
            bench = nil
            let name = "\(number + 1)-\(cell.description.replacing("/", with: "-"))"
            say("evidence: \(folder)/evidence/\(name)")
            do { try await ready.lab.keepEvidence(in: "\(folder)/evidence/\(name)") } catch {
                try Task.checkCancellation()
                say("evidence is incomplete: \(error)")
            }
            await takeDown()
        }
    }

    /// Starts a lab, and tries a second time if that fails: a long run must not end for a slow start.
    private func makeBench() async throws -> FaultBench {
        do {
            return try await makeBenchOnce()
        } catch {
            try Task.checkCancellation()
            say("the lab did not start, trying again: \(error)")
            await takeDown()
            return try await makeBenchOnce()
        }
    }

    private func makeBenchOnce() async throws -> FaultBench {
        let programs = try Programs.nextToThisProcess()
        let lab = try await HostLab.up(FaultBench.plan) { say("lab: \($0)") }
        let bench = try FaultBench(lab: lab, programs: programs) { say($0) }
        try await bench.prepare()
        return bench
    }
}
