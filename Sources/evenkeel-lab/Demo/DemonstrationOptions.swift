// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import HostOS
import Fleet
import Glibc
import Lab
import Settings

/// The common part of `sniff`, `tamper` and `compare`: a lab of two hosts with one quiet guest per channel.
struct DemonstrationOptions: ParsableArguments {
    @Option(
        help: "Channel to test, repeatable (default: every channel that the hosts offer, and plain)",
        transform: { name in
            guard let channel = Channel(rawValue: name) else {
                let known = Channel.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("unknown channel '\(name)'. Known channels: \(known)")
            }
            return channel
        }
    )
    var channel: [Channel] = []

    @Flag(help: "Print JSON")
    var json = false

    /// Prints a progress message; to standard error if the output is JSON.
    func say(_ line: String) { if json { printError(line) } else { printLine(line) } }

    /// Starts the lab, determines the channels, runs the work, and always takes the lab down.
    ///
    /// `change` may alter the plan, which has one guest per available channel.
    func inLab<Value: Sendable>(
        _ change: (inout LabPlan) -> Void = { _ in },
        settings changeSettings: @Sendable @escaping (inout Settings) -> Void = { _ in },
        _ work: @Sendable @escaping (HostLab, Programs, [Channel]) async throws -> Value
    ) async throws -> Value {
        signal(SIGPIPE, SIG_IGN)
        let programs = try Programs.nextToThisProcess()
        let options = self
        var draft = LabPlan(
            hosts: [1, 2].map { HostPlan(number: $0, cores: 0.9) },
            // Quiet guests, so that all of them together leave the host capacity.
            guests: (1...max(channel.count, Channel.allCases.count)).map {
                GuestPlan(number: $0, host: HostName("h1"), unitMicroseconds: 1_300, dirtyMiBPerSecond: 0.25)
            }
        )
        change(&draft)
        let plan = draft
        return try await interruptible {
            let lab = try await HostLab.up(plan) { options.say("lab: \($0)") }
            let result: Result<Value, any Error>
            do {
                var settings = lab.settings
                changeSettings(&settings)
                try await lab.startAgents(programs, settings: settings)
                try lab.configure(settings)
                try await lab.waitForSamples()
                result = .success(try await work(lab, programs, options.channels(in: lab, settings)))
            } catch {
                result = .failure(error)
            }
            await takeDown()
            return try result.get()
        }
    }

    private func channels(in lab: HostLab, _ settings: Settings) async throws -> [Channel] {
        let configured = settings.escort.usableChannels
        for channel in channel where !configured.contains(channel) {
            let known = configured.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("channel '\(channel.rawValue)' is not configured in the lab. Configured: \(known)")
        }
        let offered = try await lab.offeredChannels(HostName("h1"), HostName("h2"), by: settings, wanted: channel)
        return channel.isEmpty ? offered : channel
    }
}
