// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import evenkeel_lab

/// What a soak reads: `/proc`, files and ledgers.
struct SoakReadingTests {
    private static let status =
        "Name:\tevenkeel-agent\nVmHWM:\t   52000 kB\nVmRSS:\t   40000 kB\nRssAnon:\t   20000 kB\nVmSwap:\t     100 kB\n"
    private static let rollup = "00400000-7fff [rollup]\nRss:    40004 kB\nAnonymous:     21000 kB\nSwap:    8 kB\n"
    private static let stat =
        "77 (evenkeel (a) b) S 1 77 77 0 -1 4194560 9 0 0 0 250 50 30 20 20 0 9 0 4264601 3133440 381"

    private func figures(status: String = status, rollup: String? = rollup) -> ProcessFigures? {
        ProcessFigures(
            status: status,
            rollup: rollup,
            stat: Self.stat,
            descriptors: 15,
            threads: 9,
            ticksPerSecond: 100
        )
    }

    @Test func `figures come from smaps_rollup and stat, whatever the name contains`() {
        #expect(
            figures()
                == ProcessFigures(
                    residentBytes: 40004 * 1024,
                    peakResidentBytes: 52000 * 1024,
                    privateBytes: 21008 * 1024,
                    descriptors: 15,
                    threads: 9,
                    cpuSeconds: 3,
                    commandSeconds: 0.5
                )
        )
    }

    @Test func `without smaps_rollup, status has the figures`() {
        let figures = figures(rollup: nil)
        #expect(figures?.residentBytes == 40_960_000)
        #expect(figures?.privateBytes == 20_582_400)
    }

    @Test func `a process that has ended has no figures`() {
        #expect(figures(status: "Name:\tevenkeel-agent\nState:\tZ (zombie)\n", rollup: "") == nil)
        #expect(ProcessFigures.read(Int32.max) == nil)
    }

    @Test func `this process has figures`() throws {
        let figures = try #require(ProcessFigures.read(ProcessInfo.processInfo.processIdentifier))
        #expect(figures.residentBytes > 1 << 20 && figures.privateBytes > 1 << 18)
        #expect(figures.descriptors >= 3 && figures.threads >= 1)
    }

    @Test func `files count by folder and by prefix, without subfolders`() throws {
        try Self.inFolder { folder in
            try FileManager.default.createDirectory(atPath: "\(folder)/logs", withIntermediateDirectories: true)
            for name in ["marks.json", "marks.json.closed", "orders.000001.jsonl", "other", "logs/agent.log"] {
                try Data(repeating: 0, count: 10).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
            }
            #expect(WatchedFiles(folders: [folder]).figures() == FileFigures(files: 4, bytes: 40))
            #expect(WatchedFiles(prefixes: ["\(folder)/marks.json"]).figures() == FileFigures(files: 2, bytes: 20))
            #expect(WatchedFiles(parents: [folder]).figures() == FileFigures(files: 1, bytes: 10))
            #expect(WatchedFiles(parents: ["\(folder)/logs"]).figures() == FileFigures())
            #expect(WatchedFiles(folders: ["\(folder)/missing"]).figures() == FileFigures())
        }
    }

    @Test func `samples are counted once, also after files are added and dropped`() throws {
        try Self.inFolder { folder in
            let host = "\(folder)/load/host%3ah4"
            func add(_ lines: Int, to number: Int, of host: String) throws {
                try FileManager.default.createDirectory(atPath: host, withIntermediateDirectories: true)
                let path = "\(host)/00000\(number).jsonl"
                let old = FileManager.default.contents(atPath: path) ?? Data()
                try (old + Data(String(repeating: "{}\n", count: lines).utf8)).write(to: URL(fileURLWithPath: path))
            }
            var count = SampleCount(ledger: folder)
            count.update()
            #expect(count.samples == 0)
            try add(3, to: 1, of: host)
            count.update()
            count.update()
            #expect(count.samples == 3)
            try add(2, to: 1, of: host)
            try add(4, to: 2, of: host)
            try Data("{}\n".utf8).write(to: URL(fileURLWithPath: "\(folder)/orders.000001.jsonl"))
            count.update()
            #expect(count.samples == 9)
            try FileManager.default.removeItem(atPath: "\(host)/000001.jsonl")
            try FileManager.default.removeItem(atPath: "\(host)/000002.jsonl")
            try add(5, to: 3, of: host)
            count.update()
            #expect(count.samples == 14)
            // Another host has files of its own.
            try add(6, to: 1, of: "\(folder)/load/host%3ah5")
            count.update()
            #expect(count.samples == 20)
        }
    }

    private static func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "soak-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }
}
