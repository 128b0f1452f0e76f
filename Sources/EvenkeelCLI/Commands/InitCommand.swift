// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Identity
import Ledger
import Settings

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a cluster: its certificate authority, the ledger, and identities of controller and operator.",
        discussion: """
            Once per fleet, on the administrator's machine. The cluster folder holds the key of the certificate \
            authority: it belongs on no host, and into a backup. Nothing that exists is overwritten; a call that was cut \
            short is simply made again. Hosts follow with 'evenkeel host add'. Needs the openssl command.
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
        let members: [(who: Enrollment, folder: String)] = [(.controller, controller), (.operator, operatorFolder)]
        let authority: ClusterAuthority
        if ClusterAuthority.exists(folder: options.path) {
            authority = try await options.open()
            var isComplete = true
            for member in members where try await authority.lacks(member.who.name) { isComplete = false }
            if isComplete { throw AlreadyMade(folder: options.path) }
        } else {
            // Before anything is made.
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
            Cluster \(await authority.roster.cluster) is made.
              cluster folder        \(options.path) (keep it secret, and back it up)
              controller's identity \(controller) ('evenkeel controller' signs orders with it)
              operator's identity   \(operatorFolder) ('evenkeel migrate' and the like sign with it)
            Next: evenkeel host add NAME --address LAN
            """
        )
    }
}

struct AlreadyMade: Error, CustomStringConvertible {
    var folder: String
    var description: String {
        "the cluster in '\(folder)' is complete and is not made again; 'evenkeel certificates publish' writes its roster"
            + " into the ledger, 'evenkeel certificates rotate --replace' gives controller or operator new keys"
    }
}
