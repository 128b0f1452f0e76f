// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Balancing
import Controller
import HostOS
import Fleet
import Ledger
import Settings

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Move the VMs that are off on a host in maintenance to another host",
        discussion: """
            Orders offline moves, one after the other, and follows each. A VM that cannot move stays, and the command \
            continues with the next. The controller moves the host's running VMs by itself. Ctrl-C ends the command: the \
            current order continues, and no further move is ordered.

            Exits with code 1 if a VM stayed. Run the command again for the rest.
            """
    )

    @Argument(help: "Host in maintenance")
    var host: String

    @Argument(help: "Host to move the VMs to")
    var target: String

    @Option(help: "Channel: ipsec, tls, ipsec+tls or ssh", transform: Channel.named)
    var channel = Channel.ipsec

    @Flag(help: "Print the VMs that would move, and order nothing")
    var dryRun = false

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let settings = try options.settings()
        let ledger = try await options.openOperatorsLedger(settings)
        let roster = options.roster(settings)
        let hardware = roster?.enrolledHardware ?? [:]
        let view = try await FleetView.read(ledger, settings: settings, hardware: hardware)
        let vms = try OfflineDrain.vms(of: HostName(host), in: view)
        if dryRun || vms.isEmpty {
            printLine(OfflineDrain.text(vms, on: HostName(host)))
            return
        }
        let (target, channel) = (HostName(target), channel)
        let stayed = try await cancellingOnShutdownSignals {
            try await OfflineDrain.move(vms) { vm, ordered in
                let order = try ManualOrder.make(
                    moving: vm.id.rawValue,
                    to: target,
                    channel: channel,
                    isOffline: true,
                    policy: settings.policy,
                    // Read again for each VM: the moves before it took time.
                    view: await FleetView.read(ledger, settings: settings, hardware: hardware),
                    removed: roster?.removedHosts ?? [:]
                )
                try Task.checkCancellation()
                ordered = order.id
                try await ledger.append(OrderRecord.migrate(order: order))
                printLine("order \(order.id): move \(order.vmName.plainText(limit: 80)) to \(order.target)")
                let move = try await ManualOrder.follow(order, in: ledger, settings: settings) { _ in }
                try ManualOrder.check(move)
                return ManualOrder.summary(move)
            } say: {
                printLine($0)
            }
        }
        guard stayed == 0 else { throw OfflineDrain.Refusal.stayed(stayed, of: vms.count) }
    }
}
