// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Identity
import Ledger
import Settings

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a cluster: its certificate authority, the ledger, and identities of controller and operator.",
        discussion: """
            Once per fleet, on the administrator's machine. The cluster folder holds the key of the certificate \
            authority: it belongs on no host, and into a backup. Nothing that exists is overwritten. Hosts follow with \
            'evenkeel host add'. Needs the openssl command.
            """
    )

    @OptionGroup var options: ClusterOptions

    @Option(help: ArgumentHelp("The controller's identity folder (default: identity.controller).", valueName: "folder"))
    var controller: String?

    @Option(help: ArgumentHelp("The operator's identity folder (default: identity.operator).", valueName: "folder"))
    var `operator`: String?

    func run() async throws {
        let settings = try options.configuration.settings()
        let controller = controller.map(absolute) ?? settings.identity.controller
        let operatorFolder = self.operator.map(absolute) ?? settings.identity.operator
        if let ledger = try options.ledgerFolder() { try await SharedLog.create(folder: ledger) }
        let authority = try await ClusterAuthority.create(folder: options.path)
        try await authority.add(.controller, folder: controller)
        try await authority.add(.operator, folder: operatorFolder)
        try await options.publish(authority)
        print(
            """
            Cluster \(await authority.roster.cluster) is made.
              cluster folder        \(options.path) (keep it secret, and back it up)
              controller's identity \(controller) ('evenkeel controller' signs orders with it)
              operator's identity   \(operatorFolder) ('evenkeel migrate' and the like sign with it)
            Next: evenkeel host add NAME --address LAN --inner-address INNER
            """
        )
    }
}
