// SPDX-License-Identifier: Apache-2.0
import Lab

/// The cells that are left to run, and the report of those that have run; cells that have a result are skipped.
actor FaultQueue {
    private var left: ArraySlice<(number: Int, cell: FaultCell)>
    private let count: Int
    private let folder: String
    private(set) var report: FaultReport

    init(cells: [FaultCell], first: Int, report: FaultReport, folder: String) {
        left = zip(first..., cells).map { (number: $0, cell: $1) }.filter { !report.has($0.number) }[...]
        count = left.count
        (self.report, self.folder) = (report, folder)
        self.report.begin(at: first)
    }

    /// Takes the next cell, with its place in this run, such as `3 of 10`; returns `nil` if none is left.
    func next() -> (number: Int, cell: FaultCell, place: String)? {
        guard let (number, cell) = left.popFirst() else { return nil }
        return (number, cell, "\(count - left.count) of \(count)")
    }

    /// Adds a result and writes the report's files.
    func add(_ result: FaultResult, number: Int) throws {
        report.add(result, number: number)
        try report.write(to: folder)
    }
}
