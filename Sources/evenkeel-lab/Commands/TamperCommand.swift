// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Fleet
import Glibc
import Lab

struct TamperCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tamper",
        abstract: "Flip bits of a guest's memory on the wire while it moves, over each channel",
        discussion: """
            Starts a lab of two hosts, places a process on the wire of the first one, and moves a new guest over each \
            channel. Where memory is visible, the process flips one bit in each of some pages and corrects the TCP \
            checksum (Oberheide's Xensploit). Where traffic is encrypted, it flips random bits in 2 % of the large packets. \
            The guest checks its own memory. Takes the lab down at the end, also after a failure or Ctrl-C.

            Exit code 0: 'plain' was broken, which proves that the attack works; no other channel was broken, and bits of \
            each were flipped, except 'sealed', which uses the storage.
            """
    )

    @OptionGroup var options: DemonstrationOptions

    @Option(help: "Random seed for the flipped bits")
    var seed: UInt64 = 1

    func run() async throws {
        let (options, seed) = (options, seed)
        let (trials, tried) = try await options.inLab { lab, programs, channels in
            var trials: [TamperTrial] = []
            for (channel, guest) in zip(channels, lab.guests) {
                let trial = try await lab.tamper(
                    with: guest,
                    movingTo: HostName("h2"),
                    channel: channel,
                    programs: programs,
                    seed: seed
                )
                options.say("\(channel.rawValue): \(trial.text)")
                trials.append(trial)
            }
            return (trials, channels)
        }
        printLine(options.json ? try jsonText(trials) : "\n\(trials.table)")
        guard trials.areAsExpected(of: tried) else {
            printError(
                trials.contains { $0.channel == .plain && $0.verdict == .broken }
                    ? "Failed: a protected channel was broken, none of its packets were changed, or none was tested."
                    : "Failed: the attack did not work on 'plain'."
            )
            throw ExitCode.failure
        }
    }
}

extension TamperTrial {
    var text: String {
        switch verdict {
        case .broken: "BROKEN: the guest continues with changed memory (\(state.problems.first ?? "?"))"
        case .unharmed: "unharmed: the guest moved, its memory is intact"
        case .refused: "refused: the move failed, the guest continues intact"
        case .harmed: "HARMED: \(state.problems.first ?? "it has stopped, or does not run on exactly one host")"
        case .untouched: "untouched: no packet on the wire could be changed"
        }
    }
}

extension [TamperTrial] {
    var table: String {
        TextTable(
            ["CHANNEL", "GUEST", "FRAMES", "CHANGED", "MOVE", "RUNS ON", "GUEST STATE"],
            map { trial in
                let kinds = trial.wire.noiseHits.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }
                let hits = (trial.wire.targetsHit > 0 ? ["\(trial.wire.targetsHit) × visible memory"] : []) + kinds
                return [
                    trial.channel.rawValue, trial.guest, "\(trial.wire.frames)",
                    hits.isEmpty ? "none" : hits.joined(separator: ", "),
                    trial.failure == nil ? "done" : "failed",
                    trial.state.runsOn.map(\.rawValue).joined(separator: ", "), trial.text,
                ]
            },
            empty: "No channel was tested."
        ).text
    }
}
