// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Simulation
import TestSupport
import Testing

/// The command `evenkeel simulate`.
struct SimulateCommandTests {
    struct Wrong: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var message: String
        init(_ arguments: String, _ message: String) {
            self.arguments = arguments.split(separator: " ").map(String.init)
            self.message = message
        }
        var testDescription: String { arguments.joined(separator: " ") }
    }

    @Test(arguments: [
        Wrong("--baseline nobody", "unknown baseline 'nobody'; choose from all, nothing, threshold, pull, proxlb"),
        Wrong("--traces /tmp --load churn", "--traces and --load exclude each other"),
        Wrong("--load nothing", "'nothing' is not one of diurnal, bursty, flash-crowd, noisy-neighbour, churn, mixed"),
        Wrong("--faults many", "'many' is not one of none, light, heavy, torture"),
        Wrong("--torture 5 --baseline hbal", "--torture tests Evenkeel alone"),
        Wrong("--torture 5 --report r.html", "--torture tests Evenkeel alone"),
        Wrong("--torture 5 --log l", "--log and --only-faults examine a single seed"),
        Wrong("--torture 5 --only-faults 1", "--log and --only-faults examine a single seed"),
        Wrong("--torture 1 --only-faults one", "--only-faults takes numbers separated by commas, not 'one'"),
        Wrong("--only-faults 1", "--only-faults requires --torture 1"),
        Wrong("--torture 0", "--torture must be at least 1"),
        Wrong("--jobs 0", "--jobs must be 1 to 1024"),
        Wrong("--hosts 0", "--hosts must be 1 to 100000"),
        Wrong("--vms 0", "--vms must be 1 to 1000000"),
        Wrong("--hours 0", "--hours must be above 0"),
        Wrong("--hours nan", "--hours must be above 0"),
        Wrong("--mean-memory 1", "--mean-memory 1% to below 100%"),
        Wrong("--mean-memory 1e-300", "--mean-memory 1% to below 100%"),
        Wrong("--torture 2 --hosts 50", "generates its own fleets"),
        Wrong("--torture 1 --only-faults 999", "there is no fault 999"),
        Wrong("--mean-cpu 300%", "--mean-cpu must be 1% to 200%"),
        Wrong("--sample-interval 10ms", "must be at least 100ms"),
        Wrong("--planner-effort -1", "--planner-effort"),
        Wrong("--seed -1", "--seed"),
    ])
    func `wrong usage is an error with exit code 64`(_ wrong: Wrong) async throws {
        let result = try await Program.evenkeel(["simulate"] + wrong.arguments)
        #expect(result.exitCode == 64, "\(result.standardError)")
        let message = result.standardError.replacing("\n", with: " ").replacing(/\s+/, with: " ")
        #expect(message.contains(wrong.message), "\(result.standardError)")
        #expect(result.standardOutput.isEmpty)
    }

    @Test func `a path without traces is named`() async throws {
        let missing = try await Program.evenkeel(["simulate", "--traces", "/no/such/traces"])
        #expect(missing.exitCode == 1)
        #expect(missing.standardError.contains("/no/such/traces: no such file or folder"))
    }

    @Test func `bad settings and unwritable files are errors`() async throws {
        let small = ["simulate", "--hosts", "2", "--vms", "4", "--hours", "0.1"]
        let policy = try await Program.evenkeel(small + ["--policy", "/no/such/policy.yaml"])
        #expect(!policy.succeeded && policy.standardError.contains("/no/such/policy.yaml"))
        let key = try await Program.evenkeel(small + ["--set", "no-such-key=1"])
        #expect(!key.succeeded && key.standardError.contains("no-such-key"))
        let report = try await Program.evenkeel(small + ["--report", "/no/such/folder/r.html"])
        #expect(!report.succeeded && report.standardError.contains("/no/such/folder/r.html"))
        let log = try await Program.evenkeel(small + ["--log", "/no/such/folder/log"])
        #expect(!log.succeeded && log.standardError.contains("/no/such/folder/log"))
    }

    @Test func `a small fleet is compared, reported and logged`() async throws {
        try await Program.inFolder { folder in
            let (report, log) = (folder.appendingPathComponent("r.html"), folder.appendingPathComponent("log"))
            let result = try await Program.evenkeel([
                "simulate", "--hosts", "3", "--vms", "9", "--load", "bursty", "--hours", "1", "--planner-effort", "500",
                "--baseline", "nothing", "proxlb", "nothing", "--report", report.path, "--log", log.path,
            ])
            #expect(result.succeeded, "\(result.standardError)")
            let output = result.standardOutput
            #expect(output.contains("bursty: 9 VMs on 3 hosts") && output.contains("POLICY"))
            for policy in ["evenkeel", "nothing", "proxlb"] {
                #expect(
                    output.split(separator: "\n").count { $0.hasPrefix("\(policy) ") && $0.contains(" min ") } == 1,
                    "\(output)"
                )
            }
            #expect(output.contains("Report: \(report.path)"))
            let html = try String(contentsOf: report, encoding: .utf8)
            #expect(html.hasPrefix("<!DOCTYPE html>") && html.contains("proxlb"))
            #expect(try String(contentsOf: log, encoding: .utf8).contains("controller starts"))
        }
    }

    @Test func `the same options give the same figures`() async throws {
        func rows() async throws -> [[String: Any]] {
            let result = try await Program.evenkeel([
                "simulate", "--hosts", "3", "--vms", "9", "--hours", "1", "--planner-effort", "500", "--seed", "3",
                "--json",
            ])
            let outcome = try JSONSerialization.jsonObject(with: Data(result.standardOutput.utf8)) as? [String: Any]
            let rows = try #require(outcome?["rows"] as? [[String: Any]])
            return rows.map { row in row.filter { $0.key != "seconds" } }
        }
        #expect(try await NSArray(array: rows()) == NSArray(array: rows()))
    }

    @Test func `torture ends with a machine-readable line`() async throws {
        let result = try await Program.evenkeel(["simulate", "--torture", "1", "--seed", "9"])
        #expect(result.succeeded)
        #expect(result.standardOutput.contains("1 seed from 9: "))
        #expect(result.standardOutput.hasSuffix("1 passed, 0 failed\n"))
        let one = try await Program.evenkeel(["simulate", "--torture", "1", "--seed", "9", "--only-faults", "0"])
        #expect(one.succeeded && one.standardOutput.hasPrefix("No invariant violated: 1 faults"))
    }
}
