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
        abstract: "Order the move of a VM to a host, and follow it",
        discussion: """
            The order goes through the ledger; the agents of the two hosts check it and carry it out. Ctrl-C stops \
            following, and the move continues. To cancel the move, run 'evenkeel cancel ORDER'.

            A VM that is off moves with --offline: its definition, its autostart, and nothing else. It stays off. \
            'evenkeel drain' does this for all VMs that are off on a host in maintenance.

            Exits with code 0 if the VM is on the target and the evidence shows no leak. To check that the protection \
            is fully proven, run 'evenkeel verify ORDER'.
            """
    )

    @Argument(help: "Name or UUID of the VM")
    var vm: String

    @Argument(help: "Host to move it to")
    var target: String

    @Option(
        help: """
            Channel: ipsec, tls, ipsec+tls, ssh, sealed, or plain (unprotected, for benchmarks; both hosts must set \
            escort.allow_plain)
            """,
        transform: Channel.named
    )
    var channel = Channel.ipsec

    @Flag(help: "Move the definition of a VM that is off")
    var offline = false

    @Flag(name: .long, help: "Return once the order is written")
    var noWait = false

    @Flag(help: "Print the move as JSON when it has ended")
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
            isOffline: offline,
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
