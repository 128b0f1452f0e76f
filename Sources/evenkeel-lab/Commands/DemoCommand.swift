// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import HostOS
import Fleet
import Glibc
import Lab

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show the main job: an overloaded host is relieved by live moves under IPsec, with proof.",
        discussion: """
            Makes a lab of three hosts with all guests on the first, lets agents and controller do their work, compares \
            it with one move in the clear, writes a report, and takes the lab down, also after a failure or Ctrl-C. \
            Exit code 0: balance was reached, every VM runs exactly once and intact, and nothing leaked.
            """
    )

    @Option(help: "The folder for the report: report.md, report.json and plots.")
    var report = "lab-report"

    @Option(help: "How many guests.")
    var guests = 6

    @Option(help: "Give up on balance after this many seconds.")
    var timeLimit = 180

    @Flag(help: "Leave the lab up at the end ('evenkeel-lab down' removes it).")
    var keep = false

    func validate() throws {
        guard (3...12).contains(guests) else { throw ValidationError("--guests must be 3 to 12.") }
        guard timeLimit > 0 else { throw ValidationError("--time-limit must be above zero.") }
    }

    func run() async throws {
        let (folder, guests, keep, limit) = (report, guests, keep, timeLimit)
        // With the reader of a pipe gone, writing fails instead of ending the process with the lab still up.
        signal(SIGPIPE, SIG_IGN)
        let report = try await interruptible {
            let lab = try await HostLab.up(.allOnFirst(hosts: 3, guests: guests)) { printLine("lab: \($0)") }
            var demo = try Demo(lab: lab, balanceLimit: .seconds(limit))
            let failure: (any Error)?
            do {
                try await demo.play()
                failure = nil
            } catch {
                failure = error
            }
            let played = demo
            // A task of its own: after Ctrl-C the lab is still asked where each VM is.
            let report = await Task { await played.report(failure: failure) }.value
            if !keep { await takeDown() }
            return report
        }
        if keep { printLine("The lab stays up; 'evenkeel-lab down' removes it.") }
        printLine("\n\(report.screenText)")
        try report.write(to: folder)
        printLine("\nThe report: \(folder)/report.md, report.json, load.svg, work.svg")
        if !report.succeeded { throw ExitCode.failure }
    }
}
