// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser

/// The command line: the controller, the state of the fleet, manual orders, identities and the simulator.
public struct Evenkeel: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "evenkeel",
        abstract:
            "Keeps a fleet of libvirt hosts on an even keel: moves VMs from heavy to light hosts, live, under escort.",
        discussion: """
            Each host runs evenkeel-agent; one machine runs 'evenkeel controller'. They meet in the ledger, a folder on \
            shared storage.

            Exit codes: 0 success; 1 failure, with the reason on standard error; 64 wrong usage.
            """,
        subcommands: [
            InitCommand.self, HostCommand.self, CertificatesCommand.self, ControllerCommand.self, StatusCommand.self,
            PlanCommand.self, ExplainCommand.self, PlaceCommand.self, MigrateCommand.self, CancelCommand.self,
            ClearCommand.self, VerifyCommand.self, MeshCommand.self, LedgerCommand.self,
            SimulateCommand.self, ReplayCommand.self, ConfigurationCommand.self,
        ]
    )

    public init() {}
}
