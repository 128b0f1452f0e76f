// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Simulation

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "simulate", abstract: "x")
    @Option var torture: Int?
    @Option var seed: UInt64 = 1
    @Option var log: String?
    @Option var failures = 3

    mutating func run() async throws {
        if let torture {
            let runs = TortureRuns(first: seed, runs: torture, torture: Torture(), workers: 2)
            let (summary, broken) = await runs.run(failuresWanted: failures) { _ in }
            for one in broken {
                print(one)
                print(one.trace.suffix(40).joined(separator: "\n"))
            }
            print(summary)
        }
    }
}
