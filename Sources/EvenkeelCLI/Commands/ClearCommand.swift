// SPDX-License-Identifier: Apache-2.0
import HostOS
import ArgumentParser
import Coordination
import Fleet
import Ledger
import Settings

struct ClearCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear",
        abstract: "Reopen a channel that a leak has closed between two hosts",
        discussion: """
            A move whose evidence shows a leak closes its channel between the two hosts, in both directions, for the \
            controller and for manual orders. Find out where the missing bytes went before you reopen it: 'evenkeel \
            verify ORDER' shows the evidence. A leak that is reported later closes the channel again.
            """
    )

    @Argument(help: "One of the two hosts")
    var source: String

    @Argument(help: "The other host")
    var target: String

    @Option(
        help: "Reopen only this channel (default: every closed channel between the hosts)",
        transform: Channel.named
    )
    var channel: Channel?

    @Option(
        name: .customLong("order"),
        help:
            "Order whose leak the ledger no longer contains, as named in a host's refusal (repeatable; requires --channel)"
    )
    var orders: [String] = []

    @Option(help: "Cause of the leak, for the record")
    var reason: String

    @OptionGroup var options: ConfigurationOptions

    func validate() throws {
        guard reason.contains(where: { !$0.isWhitespace }) else {
            throw ValidationError("--reason must not be empty.")
        }
        guard orders.isEmpty || channel != nil else { throw ValidationError("--order requires --channel.") }
    }

    func run() async throws {
        let settings = try options.settings()
        let ledger = try await options.openOperatorsLedger(settings)
        let view = try await FleetView.read(ledger, settings: settings)
        let path = Path(source: HostName(source), target: HostName(target))
        let closures = view.closed.filter { closure in
            HostPair(closure.path) == HostPair(path) && (channel.map { $0 == closure.channel } ?? true)
        }
        guard !closures.isEmpty || !orders.isEmpty else {
            let what = channel.map { "The channel \($0.rawValue) is not" } ?? "No channel is"
            throw ValidationError(
                "\(what) closed between \(HostPair(path)). If a host still refuses it, name the order of the leak with --order."
            )
        }
        for channel in Channel.allCases {
            let forgotten = channel == self.channel ? orders.map { OrderID($0) } : []
            let leaks = closures.filter { $0.channel == channel }.map(\.order) + forgotten
            guard !leaks.isEmpty else { continue }
            try await ledger.append(
                OrderRecord.clear(path: path, channel: channel, orders: leaks, at: .now, reason: reason)
            )
            let names = leaks.map(\.rawValue).joined(separator: ", ")
            printLine(
                "\(channel.rawValue) between \(HostPair(path)): reopened (was closed by the leak of \(names))"
            )
        }
    }
}

extension Channel {
    /// Parses the name of a channel on the command line.
    static func named(_ name: String) throws -> Channel {
        guard let channel = Channel(rawValue: name) else {
            let known = Channel.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("unknown channel '\(name)'; choose one of \(known)")
        }
        return channel
    }
}
