// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser

/// The command line: the controller, the state of the fleet, manual orders, identities and the simulator.
public struct Evenkeel: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "evenkeel",
        abstract: "Balance the load of a fleet of libvirt hosts by secure live migration",
        discussion: """
            Every host runs evenkeel-agent, and one machine runs 'evenkeel controller'. They communicate only through \
            the ledger, a folder on shared storage.

            Exit codes: 0 success; 1 failure, with the reason on standard error; 64 usage error.
            """,
        subcommands: [
            InitCommand.self, HostCommand.self, CertificatesCommand.self, ControllerCommand.self, StatusCommand.self,
            PlanCommand.self, ExplainCommand.self, PlaceCommand.self, MigrateCommand.self, DrainCommand.self,
            CancelCommand.self, EndCommand.self, ClearCommand.self, VerifyCommand.self, MeshCommand.self,
            DefinitionsCommand.self,
            LedgerCommand.self, SimulateCommand.self, ReplayCommand.self, ConfigurationCommand.self,
        ]
    )

    public init() {}
}
