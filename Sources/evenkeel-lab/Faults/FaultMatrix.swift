// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Foundation
import Lab

/// Runs the drawn cells in one or several labs at the same time, and in a new lab after each broken rule.
struct FaultMatrix: Sendable {
    let cells: [FaultCell]
    /// The number of the first cell.
    let first: Int
    /// Number of labs.
    let labs: Int
    let folder: String
    let isJSON: Bool
    private let earlier: FaultReport
    private let began = ContinuousClock.now
    private let steps: FileHandle

    /// Opens or creates the report's folder; everything in it stays.
    ///
    /// `first`: the place of the first cell in the draw; `nil`: the cells follow those of the report.
    init(
        cells: [FaultCell],
        first: Int?,
        labs: Int,
        origin: FaultReport.Origin,
        folder: String,
        isJSON: Bool
    ) throws {
        earlier = try FaultReport.inFolder(folder, origin: origin)
        self.first = first ?? earlier.next
        (self.cells, self.labs, self.folder, self.isJSON) = (cells, labs, folder, isJSON)
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

    /// Runs all cells and takes its own labs down, also after a failure or cancellation.
    ///
    /// The report's files are written after each cell, so that an interrupted run keeps its results. Throws if a lab
    /// cannot be taken down.
    func run() async throws -> FaultReport {
        let queue = FaultQueue(cells: cells, first: first, report: earlier, folder: folder)
        try await withThrowingTaskGroup { group in
            for (number, site) in LabSite.matrix.prefix(labs).enumerated() {
                group.addTask {
                    // The first lab fills the cache that all share.
                    try await Task.sleep(for: .seconds(30) * number)
                    let name = labs > 1 ? "lab \(number + 1): " : ""
                    var worker = FaultWorker(site: site, queue: queue, folder: folder) { step(name + $0) }
                    try await worker.run()
                }
            }
            try await group.waitForAll()
        }
        return await queue.report
    }
}
