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
        abstract: "Relieve an overloaded host by live moves under IPsec, and prove that they were protected",
        discussion: """
            Starts a lab of three hosts with all guests on the first. Agents and controller restore balance. For comparison, \
            one move is made without protection. Writes a report and takes the lab down, also after a failure or Ctrl-C.

            Exit code 0: balance was reached, every VM runs exactly once and intact, and no secret was visible on the wire.
            """
    )

    @Option(help: "Folder for report.md, report.json and the plots")
    var report = "lab-report"

    @Option(help: "Number of guests")
    var guests = 6

    @Option(help: "Time limit to reach balance, in seconds")
    var timeLimit = 180

    @Flag(help: "Leave the lab up at the end ('evenkeel-lab down' takes it down)")
    var keep = false

    func validate() throws {
        guard (3...12).contains(guests) else { throw ValidationError("--guests must be 3 to 12.") }
        guard timeLimit > 0 else { throw ValidationError("--time-limit must be above zero.") }
    }

    func run() async throws {
        let (folder, guests, keep, limit) = (report, guests, keep, timeLimit)
        // If the reader of a pipe is gone, a write must fail; a signal would end the process with the lab still up.
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
            // In a separate task: after Ctrl-C the report still needs the location of each VM.
            let report = await Task { await played.report(failure: failure) }.value
            if !keep { await takeDown() }
            return report
        }
        if keep { printLine("The lab is still up. To take it down: evenkeel-lab down") }
        printLine("\n\(report.screenText)")
        try report.write(to: folder)
        printLine("\nReport: \(folder)/report.md, report.json, load.svg, work.svg")
        if !report.succeeded { throw ExitCode.failure }
    }
}
