// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import HostOS
import Controller
import Fleet
import Ledger
import Settings

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Order the move of one VM to a host, and follow it.",
        discussion: """
            The order goes through the ledger; the agents of the two hosts check it and carry it out. Ctrl-C stops \
            following, not the move; 'evenkeel cancel ORDER' ends the move. Exit code 0: the VM runs on the target, and no \
            evidence says that something leaked; whether all is proven, 'evenkeel verify ORDER' says.
            """
    )

    @Argument(help: "The VM's name or uuid.")
    var vm: String

    @Argument(help: "The host that is to run it.")
    var target: String

    @Option(
        help: """
            The path: ipsec, tls, ipsec+tls, ssh or sealed; or plain for benchmarks: in the clear, and only where both \
            hosts allow it (escort.allow_plain).
            """,
        transform: Channel.named
    )
    var channel = Channel.ipsec

    @Flag(name: .long, help: "Return once the order is written.")
    var noWait = false

    @Flag(help: "Print the move as JSON when it has ended.")
    var json = false

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let settings = try options.settings()
        let ledger = try await options.openOperatorsLedger(settings)
        let roster = options.roster(settings)
        let view = try await FleetView.read(ledger, settings: settings, hardware: roster?.enrolledHardware ?? [:])
        let order = try ManualOrder.make(
            moving: vm,
            to: HostName(target),
            channel: channel,
            policy: settings.policy,
            view: view,
            removed: roster?.removedHosts ?? [:]
        )
        try await ledger.append(OrderRecord.migrate(order: order))
        if !json || noWait {
            let name = order.vmName.plainText(limit: 80)
            printLine("order \(order.id): move \(name) from \(order.source) to \(order.target)")
        }
        if noWait { return }
        let quiet = json
        let move: FleetView.Move
        do {
            move = try await cancellingOnShutdownSignals {
                try await ManualOrder.follow(order, in: ledger, settings: settings) { if !quiet { printLine($0) } }
            }
        } catch is CancellationError {
            throw ManualOrderError.interrupted(order.id)
        }
        if json { printLine(try jsonText(move)) }
        try ManualOrder.check(move)
        if !quiet { printLine(ManualOrder.summary(move)) }
    }
}
