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
    /// exists already, before it starts any, or if one cannot be taken down.
    func run() async throws -> FaultReport {
        let queue = FaultQueue(cells: cells, first: first, report: earlier, folder: folder)
        let sites = LabSite.matrix.prefix(labs)
        // A lab that refuses to start ends the cells of the others.
        for site in sites { try HostLab.requireNone(at: site) }
        try await withThrowingTaskGroup { group in
            for (number, site) in sites.enumerated() {
                group.addTask {
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
