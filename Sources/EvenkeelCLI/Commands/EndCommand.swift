// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Ledger
import Settings

struct EndCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "end",
        abstract: "End an order or a search that its source cannot end",
        discussion: """
            The source's agent ends its orders. If its host is lost during a move, state with --on which of the two hosts \
            has the VM. The VM can then be moved again, and the target frees the memory that it promised. Nothing is done \
            to the VM.

            The command also settles an order that ended in doubt, once you know where the VM is. And it ends the search \
            for a second copy after a failed move, if the target never comes back: state the source with --on. Until then \
            the source refuses the controller's orders for the VM. After an hour without an answer, if the VM runs at the \
            source, it refuses only those to that target.

            Make sure that the VM cannot run on the other host. If the source's agent comes back, it asks the target, and \
            pauses its copy if both run.

            If a third host claims the VM (copy-here-and-elsewhere), the source waits for this command. With --on SOURCE it \
            resumes its copy if it reads the statement within ten minutes. First make sure that no other host runs the VM.

            The command refuses a statement that contradicts what the hosts report.
            """
    )

    @Argument(help: "ID of the order, as shown by 'evenkeel status'")
    var order: String

    @Option(help: "Host that has the VM: the order's source or target")
    var on: String

    @Option(help: "Reason, for the record")
    var reason = "ended by an operator"

    @Flag(
        help: """
            End the order although the source's agent reports. A move that is under way continues, and the agent's report \
            of its end replaces this one
            """
    )
    var evenIfSourceIsAlive = false

    @OptionGroup var options: ConfigurationOptions

    func validate() throws {
        guard reason.contains(where: { !$0.isWhitespace }) else {
            throw ValidationError("--reason must not be empty.")
        }
    }

    func run() async throws {
        let settings = try options.settings()
        let ledger = try await options.openOperatorsLedger(settings)
        let view = try await FleetView.read(ledger, settings: settings)
        let record = try OrderEnding.record(
            of: order,
            on: HostName(on),
            reason: reason,
            evenIfAlive: evenIfSourceIsAlive,
            policy: settings.policy,
            view: view
        )
        try await ledger.append(record)
        printLine("order \(order): ended, with its VM on \(on)")
    }
}
