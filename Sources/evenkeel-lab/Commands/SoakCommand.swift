// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Fleet
import Glibc
import Lab
import Settings

struct SoakCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Observe agents and controllers for a long time, and fail if anything grows",
        discussion: """
            Starts a lab of three hosts with real guests, and a fourth with 50 VMs simulated by libvirt's test driver, which \
            has its own ledger and controller. Observes memory, CPU, threads, descriptors and files: first in real time with \
            samples every 5 s, then at high speed. Takes the lab down at the end, also after a failure or Ctrl-C.

            Exit code 0: nothing grew, and with a release build the agent of the 50 VMs stayed within 40 MiB and 0.5 % of a \
            core. Use the release build ('make soak') and keep the machine idle meanwhile.
            """
    )

    @Option(help: "Number of samples to write at high speed")
    var samples = 100_000

    @Option(
        help: "Interval between two samples at high speed (default: 20ms)",
        transform: { try parseDuration($0, upTo: .seconds(5)) }
    )
    var interval: Duration = .milliseconds(20)

    @Option(
        help: "Duration of the phase in real time (default: 1h)",
        transform: { try parseDuration($0, upTo: .seconds(7 * 86400)) }
    )
    var realTime: Duration = .seconds(3600)

    @Option(help: "Number of real guests, all on the first host at the beginning")
    var guests = 6

    @Flag(help: "Run for about a minute, with wider limits; the other options do not apply")
    var short = false

    @Flag(help: "Print JSON, including each reading")
    var json = false

    @Option(help: "Write soak.txt, soak.json and the plots to this folder")
    var report: String?

    func validate() throws {
        guard (100...10_000_000).contains(samples) else {
            throw ValidationError("--samples must be 100 to 10000000.")
        }
        guard realTime >= .seconds(60) else { throw ValidationError("--real-time must be at least 60s.") }
        guard (0...12).contains(guests) else { throw ValidationError("--guests must be 0 to 12.") }
    }

    func run() async throws {
        // If the reader of a pipe is gone, a write must fail; a signal would end the process with the lab still up.
        signal(SIGPIPE, SIG_IGN)
        let isQuiet = json
        let soak = Soak(
            plan: short
                ? .short
                : SoakPlan(samples: samples, interval: interval, realTime: realTime, guests: guests),
            site: .soak,
            programs: try Programs.nextToThisProcess(),
            log: { line in if isQuiet { printError(line) } else { printLine(line) } }
        )
        let result = try await interruptible { try await soak.run() }
        if let report { try result.write(to: report) }
        printLine(json ? try jsonText(result) : "\n\(result.text)")
        if !result.passed { throw ExitCode.failure }
    }
}
