// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import HostOS
import Fleet
import Foundation

@main
struct PlannerBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "planner-bench",
        abstract: "Plan fleets from 20 to 10,000 hosts, and compare with Ganeti's hbal if it is installed."
    )

    @Option(help: "Sizes of the generated fleets as HOSTS:VMS, separated by commas.")
    var sizes = "20:400,40:800,100:2000,200:4000,1000:20000,10000:100000"

    @Option(help: "Seed of the generated fleets.")
    var seed: UInt64 = 1

    @Option(help: "Folder with more fleets (NAME.data and NAME.ndynu); ignored if missing.")
    var clusters = "../shared/data/clusters"

    @Option(help: "Maximum number of hosts for which to run hbal, which takes minutes from 100 hosts.")
    var hbalHosts = 40

    @Flag(help: "Print one JSON object per row instead of a table.")
    var json = false

    @Option(help: .hidden)
    var onlyCase: String?

    @Option(help: .hidden)
    var folder: String?

    func run() async throws {
        if let onlyCase {
            let result = try parse(onlyCase).run()
            print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
            return
        }
        let hbal = Hbal()
        if !json { print(Self.machine) }
        if !hbal.isInstalled, !json {
            print("hbal is not installed (Debian: ganeti-htools): no comparison with a baseline")
        }
        if !json { print(Row.header) }
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: clusters)) ?? []
        for file in folders.sorted() where file.hasSuffix(".data") {
            let name = String(file.dropLast(5))
            try await compare(name, "files|\(clusters)/\(name)", hbal: hbal)
        }
        for size in sizes.split(separator: ",") {
            try await compare("generated", "generated|\(size)|\(seed)", hbal: hbal)
        }
    }

    private func compare(_ name: String, _ source: String, hbal: Hbal) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/planner-bench-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var hosts = 0
        for level in [3, 5] {
            let result = try await child("\(source)|\(level)", folder: folder)
            hosts = result.hosts
            let score = hosts <= Self.hostsJudged ? try await hbal.score(folder, "after.data") : nil
            try show(Row(fleet: name, planner: "aggressiveness \(level)", result, score: score))
        }
        guard hosts <= hbalHosts, let peer = try await hbal.balance(folder) else { return }
        try show(
            Row(
                fleet: name,
                hosts: hosts,
                planner: "hbal",
                seconds: peer.seconds,
                moves: peer.moves,
                gibibytes: peer.gibibytes,
                scoreOfHbal: peer.after
            )
        )
    }

    /// Maximum number of hosts for which hbal scores placements; it takes minutes for larger fleets.
    private static let hostsJudged = 200

    private func show(_ row: Row) throws {
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            print(String(decoding: try encoder.encode(row), as: UTF8.self))
        } else {
            print(row.text)
        }
    }

    /// The machine and build on which the values were measured; planning uses one core.
    private static var machine: String {
        let cpus = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = cpus.split(separator: "\n").first { $0.hasPrefix("model name") }?
            .split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
        #if DEBUG
        let build = "a debug build: the times are not meaningful"
        #else
        let build = "a release build"
        #endif
        return "\(model ?? "unknown CPU"), \(ProcessInfo.processInfo.activeProcessorCount) CPUs, \(build)"
    }

    private func child(_ source: String, folder: String) async throws -> Case.Result {
        let program = CommandLine.arguments[0]
        let output = try await Command(
            program,
            ["--only-case", source, "--folder", folder],
            timeLimit: .seconds(600)
        ).run()
        return try JSONDecoder().decode(Case.Result.self, from: Data(output.utf8))
    }

    private func parse(_ text: String) throws -> Case {
        let parts = text.split(separator: "|").map(String.init)
        guard let level = parts.last.flatMap({ Int($0) }), parts.count >= 3 else {
            throw ValidationError("'\(text)' is not a valid case.")
        }
        if parts[0] == "files" {
            let source = Case.Source.files(data: parts[1] + ".data", utilisation: parts[1] + ".ndynu")
            return Case(source: source, aggressiveness: level, folder: folder)
        }
        let numbers = parts[1].split(separator: ":").compactMap { Int($0) }
        guard numbers.count == 2, numbers[0] > 0, let seed = UInt64(parts[2]) else {
            throw ValidationError("'\(parts[1])' is not a size in the form HOSTS:VMS.")
        }
        return Case(
            source: .generated(hosts: numbers[0], vms: numbers[1], seed: seed),
            aggressiveness: level,
            folder: folder
        )
    }
}
