// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

/// Writer processes on one log; each is identified by its name and its number of starts.
struct Crew {
    /// The output of each run of a writer, by `name/run`.
    private(set) var runs: [String: String] = [:]
    private var processes: [HelperProcess] = []
    private let folder: String
    private let segmentBytes: Int
    /// The folder of their keys if they sign.
    private let keys: String?

    static func names(_ size: Int) -> [String] { (0..<size).map { "w\($0)" } }

    init(size: Int, folder: String, segmentBytes: Int, keys: String? = nil) throws {
        self.folder = folder
        self.segmentBytes = segmentBytes
        self.keys = keys
        for index in 0..<size { processes.append(try start(index)) }
    }

    /// Kills a writer and starts it again.
    mutating func replace(_ index: Int) throws {
        processes[index].kill()
        processes[index] = try start(index)
    }

    mutating func killAll() {
        for process in processes { process.kill() }
    }

    private mutating func start(_ index: Int) throws -> HelperProcess {
        let name = "w\(index)"
        let run = runs.keys.filter { $0.hasPrefix("\(name)/") }.count + 1
        let output = "\(folder)/\(name).\(run).out"
        runs["\(name)/\(run)"] = output
        let words = ["write", folder, name, String(run), String(segmentBytes)] + (keys.map { [$0] } ?? [])
        return try HelperProcess(words, output: output)
    }

    /// Returns the report that `ledger-writer` creates for a number.
    static func report(order: OrderID, host: HostName, number: Int) -> OrderReport {
        let length = number % 5 == 0 ? 200_000 + number : 20 + number % 300
        let text = String(repeating: "é\(number).", count: length / 5)
        return OrderReport(
            order: order,
            host: host,
            at: Instant(milliseconds: Int64(number)),
            step: .failed(failure: OrderFailure(.refused, .other(text), .notLooked))
        )
    }
}
