// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Identity
import Ledger
import Settings

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Create a cluster: certificate authority, ledger, and identities of controller and operator",
        discussion: """
            Run it once per fleet, on the administrator's machine. The cluster folder holds the key of the certificate \
            authority: back it up, and do not copy it to any host. Existing files are never overwritten; if a call is \
            interrupted, repeat it. Then add the hosts with 'evenkeel host add'. Requires the openssl command.
            """
    )

    @OptionGroup var options: ClusterChangeOptions

    @Option(
        help: ArgumentHelp("Folder for the controller's identity (default: identity.controller)", valueName: "folder")
    )
    var controller: String?

    @Option(help: ArgumentHelp("Folder for the operator's identity (default: identity.operator)", valueName: "folder"))
    var `operator`: String?

    func run() async throws {
        let settings = try options.configuration.settings()
        let controller = controller.map(absolute) ?? settings.identity.controller
        let operatorFolder = self.operator.map(absolute) ?? settings.identity.operator
        let members: [(who: Enrollment, folder: String)] = [(.controller, controller), (.operator, operatorFolder)]
        let authority: ClusterAuthority
        if ClusterAuthority.exists(folder: options.path) {
            authority = try await options.open()
            var isComplete = true
            for member in members where try await authority.lacks(member.who.name) { isComplete = false }
            if isComplete { throw AlreadyMade(folder: options.path) }
        } else {
            // Before anything is created.
            for member in members {
                let key = IdentityPaths(folder: member.folder).key
                if FileManager.default.fileExists(atPath: key) { throw IdentityError.exists(path: key) }
            }
            authority = try await ClusterAuthority.create(folder: options.path)
        }
        if let ledger = try options.ledgerFolder() { try await SharedLog.create(folder: ledger) }
        for member in members where try await authority.lacks(member.who.name) {
            try await authority.add(member.who, folder: member.folder)
        }
        try await options.publish(authority)
        print(
            """
            Cluster \(await authority.roster.cluster) created.
              cluster folder        \(options.path) (keep it secret, and back it up)
              controller's identity \(controller) (signs the orders of 'evenkeel controller')
              operator's identity   \(operatorFolder) (signs manual orders)
            Next: evenkeel host add NAME --address LAN
            """
        )
    }
}

struct AlreadyMade: Error, CustomStringConvertible {
    var folder: String
    var description: String {
        "the cluster in '\(folder)' is already complete. To publish its roster again, run 'evenkeel certificates publish';"
            + " to replace the keys of controller or operator, 'evenkeel certificates rotate --replace'."
    }
}
