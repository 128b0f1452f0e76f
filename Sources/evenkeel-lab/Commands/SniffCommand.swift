// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Fleet
import Lab

struct SniffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sniff",
        abstract: "Capture the LAN while a guest moves over each channel, and search for its secret",
        discussion: """
            Starts a lab of two hosts and captures all packets between them during one move per channel. Searches them for \
            the secret in the guest's memory and for pieces of its other memory. Takes the lab down at the end, also after \
            a failure or Ctrl-C.

            Exit code 0: the secret was found under 'plain', which proves that the search works, and under no other channel.
            """
    )

    @OptionGroup var options: DemonstrationOptions

    @Option(help: "Keep the captures in this folder, readable by the owner only: that of plain contains guest memory")
    var keep: String?

    func run() async throws {
        let (options, keep) = (options, keep)
        let (trials, tried) = try await options.inLab { lab, _, channels in
            var trials: [SniffTrial] = []
            for (channel, guest) in zip(channels, lab.guests) {
                let trial = try await lab.sniff(guest, movingTo: HostName("h2"), channel: channel, keepIn: keep)
                options.say(
                    "\(channel.rawValue): secret found \(trial.heard.secrets) times in \(trial.heard.packets) packets"
                )
                trials.append(trial)
            }
            return (trials, channels)
        }
        printLine(options.json ? try jsonText(trials) : "\n\(trials.table)")
        guard trials.areAsExpected(of: tried) else {
            let failed = trials.filter { $0.failure != nil }.map { "\($0.channel.rawValue): \($0.failure ?? "")" }
            printError(
                (["Failed: every move must succeed, and the secret must be found under plain only."] + failed)
                    .joined(separator: "\n")
            )
            throw ExitCode.failure
        }
    }
}

extension [SniffTrial] {
    var table: String {
        TextTable(
            ["CHANNEL", "MOVE", "PACKETS", "MIB", "SECRET", "MEMORY", "DROPPED", "BY KIND"],
            map { trial in
                let kinds = trial.heard.kinds.sorted { $0.value.bytes > $1.value.bytes }.prefix(4)
                return [
                    trial.channel.rawValue, trial.failure == nil ? "done" : "failed", "\(trial.heard.packets)",
                    Units.decimals(Double(trial.heard.bytes) / 0x1p20, 1), "\(trial.heard.secrets)",
                    "\(trial.heard.memoryPieces)", "\(trial.dropped)",
                    kinds.map { "\($0.key) \(Units.decimals(Double($0.value.bytes) / 0x1p20, 1)) MiB" }
                        .joined(separator: ", "),
                ]
            },
            empty: "No channel was tested."
        ).text
    }
}
