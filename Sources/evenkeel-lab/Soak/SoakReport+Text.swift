// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Foundation

extension SoakReport {
    /// The tables, one line for each verdict, and the ends of the logs if something failed.
    var text: String {
        var parts = ["Machine: \(machine)."]
        for phase in phases {
            parts.append("\(phase.title)\n\n\(phase.table)")
            parts.append(phase.lines.joined(separator: "\n"))
        }
        if !passed {
            parts += logs.filter { !$0.lastLines.isEmpty }.map { "End of \($0.path):\n\($0.lastLines)" }
        }
        let checks = phases.flatMap(\.checks)
        let (failed, all) = (checks.count { !$0 }, checks.count)
        parts.append(passed ? "Nothing grows: \(all) checks passed." : "Failed: \(failed) of \(all) checks.")
        return parts.joined(separator: "\n\n")
    }

    /// Writes soak.txt, soak.json and a plot of each phase to a folder; creates the folder if it is missing.
    func write(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let plots = phases.map { ("soak-\($0.phase.name.replacing(" ", with: "-")).svg", $0.svg) }
        for (name, content) in [("soak.txt", text + "\n"), ("soak.json", try jsonText(self))] + plots {
            try content.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
    }
}

extension SoakReport.Phase {
    /// Whether each check passed.
    fileprivate var checks: [Bool] {
        verdicts.map(\.passed) + samples.map(\.passed) + logGrowth.map(\.passed) + [moves?.passed].compactMap(\.self)
    }

    fileprivate var lines: [String] {
        verdicts.map(\.line) + samples.map(\.line) + logGrowth.map(\.line) + [moves?.line].compactMap(\.self)
    }

    fileprivate var title: String {
        "\(phase.name): \(Units.seconds(seconds)), samples every \(Units.decimals(phase.samplingInterval, 3)) s, "
            + "warm-up \(Units.seconds(phase.warmUp)), readings every \(Units.decimals(phase.readingInterval, 1)) s"
    }

    /// The figures at the beginning, in the middle and at the end.
    fileprivate var table: String {
        TextTable(
            ["SUBJECT", "AT", "PRIVATE", "RESIDENT", "DESCRIPTORS", "THREADS", "FILES", "FILE SIZE"],
            verdicts.flatMap { verdict in
                verdict.points.map { point in
                    [
                        verdict.subject, Units.seconds(point.at), point.privateBytes.map(mebibytes) ?? "-",
                        point.residentBytes.map(mebibytes) ?? "-", point.descriptors.map(String.init) ?? "-",
                        point.threads.map(String.init) ?? "-", "\(point.files)", mebibytes(point.fileBytes),
                    ]
                }
            },
            empty: "Too few readings."
        ).text
    }

    /// The private memory of the programs over time.
    fileprivate var svg: String {
        let lines = series.filter(\.isProgram).map { series in
            LinePlot.Line(
                name: series.subject,
                points: series.readings.compactMap { reading in
                    reading.process.map { (x: reading.at, y: Double($0.privateBytes) / 0x1p20) }
                }
            )
        }
        return LinePlot(
            title: "Private memory, \(phase.name) (warm-up shaded)",
            yLabel: "MiB",
            yMaximum: max(1, (lines.flatMap(\.points).map(\.y).max() ?? 1) * 1.15),
            lines: lines,
            spans: [(name: "warm-up", from: 0, to: phase.warmUp)],
            formatY: { Units.decimals($0, 1) },
            right: 210
        ).svg
    }
}

extension SoakVerdict {
    /// The verdict in one line, such as `passed: agent h4, real time: private memory 12.1 → 12.2 MiB; …`.
    fileprivate var line: String {
        "\(passed ? "passed" : "FAILED"): \(subject), \(phase): "
            + (findings.map(\.text) + measured).joined(separator: "; ")
    }

    private var measured: [String] {
        var parts: [String] = []
        if let before = points.first?.privateBytes, let after = points.last?.privateBytes {
            let judged = limits.memoryGrowth == nil ? " (not judged)" : ""
            parts.append("private memory \(mebibytes(before)) → \(mebibytes(after))\(judged)")
        }
        if let peakResidentBytes { parts.append("resident at most \(mebibytes(peakResidentBytes))") }
        if let cpuShare, let commandShare {
            parts.append("CPU \(corePercent(cpuShare)) and \(corePercent(commandShare)) by its commands")
        }
        if parts.isEmpty, let before = points.first, let after = points.last {
            parts.append(
                "\(before.files) → \(after.files) files, \(mebibytes(before.fileBytes)) → \(mebibytes(after.fileBytes))"
            )
        }
        return parts
    }
}

extension SoakReport.LogGrowth {
    fileprivate var line: String {
        "\(passed ? "passed" : "FAILED"): log \(path): \(bytes) bytes, \(Units.decimals(perSample, 1)) for each sample"
            + (limit.map { ", at most \(Units.decimals($0, 0))" } ?? " (not judged)")
    }
}

extension SoakReport.Moves {
    fileprivate var line: String {
        "\(passed ? "passed" : "FAILED"): moves: \(done) of \(ordered) done, at least \(fewest) expected"
    }
}

extension SoakReport.Samples {
    fileprivate var line: String {
        "\(passed ? "passed" : "FAILED"): ledger \(ledger): \(written) samples written, at least \(fewest) expected"
    }
}
