// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Fleet
import Glibc
import Lab

struct TamperCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tamper",
        abstract: "A man in the middle flips bits of a guest's memory while it moves, over each channel.",
        discussion: """
            Makes a lab of two hosts, puts a process onto the first one's wire, and moves a fresh guest over each \
            channel. Where memory passes in the clear, one bit of each of some pages is flipped and the TCP checksum set \
            right (Oberheide's Xensploit); of what is encrypted, bits are flipped at random in 2 % of the large packets. \
            The guest checks its own memory. Takes the lab down at the end, also after a failure or Ctrl-C. Exit code 0: \
            'plain' was broken, which proves the attack, and no other channel was, though bits of each but 'sealed', \
            which goes through the storage, were flipped.
            """
    )

    @OptionGroup var options: DemonstrationOptions

    @Option(help: "The seed of what is flipped at random.")
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
                options.say("\(channel.rawValue): \(trial.words)")
                trials.append(trial)
            }
            return (trials, channels)
        }
        printLine(options.json ? try jsonText(trials) : "\n\(trials.table)")
        guard trials.showWhatTheyShould(of: tried) else {
            printError(
                trials.contains { $0.channel == .plain && $0.verdict == .broken }
                    ? "A protected channel was harmed, nothing of it was changed on the wire, or none was tried."
                    : "The attack did not work in the clear."
            )
            throw ExitCode.failure
        }
    }
}

extension TamperTrial {
    var words: String {
        switch verdict {
        case .broken: "BROKEN: the guest runs on with changed memory (\(state.problems.first ?? "?"))"
        case .unharmed: "unharmed: it moved, and all of its memory is right"
        case .refused: "the move failed, and the guest runs on, intact"
        case .harmed: "HARMED: \(state.problems.first ?? "it does not run on exactly one host, or stands still")"
        case .untouched: "nothing that could be changed passed the wire"
        }
    }
}

extension [TamperTrial] {
    var table: String {
        TextTable(
            ["CHANNEL", "GUEST", "FRAMES", "CHANGED", "MOVE", "RUNS ON", "GUEST'S STATE"],
            map { trial in
                let kinds = trial.wire.noiseHits.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }
                let hits = (trial.wire.targetsHit > 0 ? ["\(trial.wire.targetsHit) × memory in the clear"] : []) + kinds
                return [
                    trial.channel.rawValue, trial.guest, "\(trial.wire.frames)",
                    hits.isEmpty ? "none" : hits.joined(separator: ", "),
                    trial.failure == nil ? "done" : "failed",
                    trial.state.runsOn.map(\.rawValue).joined(separator: ", "), trial.words,
                ]
            },
            empty: "Nothing was tried."
        ).text
    }
}
