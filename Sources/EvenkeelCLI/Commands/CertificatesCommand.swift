// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Identity
import Ledger

struct CertificatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates",
        abstract: "Show certificates and their expiry, renew them, or replace the certificate authority",
        subcommands: [Show.self, Rotate.self, Publish.self],
        defaultSubcommand: Show.self
    )

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List every trust anchor and certificate with its fingerprint and the days left",
            discussion: "Exits with code 1 if one has expired."
        )

        @OptionGroup var options: ClusterOptions

        @Flag(help: "Print JSON")
        var json = false

        func run() async throws {
            let view = try await ClusterView(options.open().roster)
            print(json ? try jsonText(view) : view.text)
            if !json { for warning in view.warnings { printError(warning) } }
            if view.hasExpired { throw ExitCode.failure }
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Renew certificates, or take the next step in replacing the certificate authority",
            discussion: """
                Renewed certificates keep their keys. Each host finds its new certificate in the ledger and tests it \
                with every peer; if a peer refuses it, the host restores the old one. Running migrations are not \
                affected.

                With --authority, each call takes one step:
                1. Trust a new authority in addition to the old one.
                2. Issue all certificates from the new authority.
                3. Stop trusting the old authority.
                A call is refused until every host has had time to apply the previous step. If a call is interrupted, \
                repeat it.

                --replace is for a compromised controller or operator key: nothing it signed counts any more, \
                including orders in progress. 'evenkeel host add --replace' does the same for a host.
                """
        )

        @OptionGroup var options: ClusterChangeOptions

        @Flag(help: "Take the next step in replacing the certificate authority")
        var authority = false

        @Flag(help: "Do not wait until the hosts have applied the previous step")
        var now = false

        @Option(
            name: .customLong("member"),
            help: "Renew only this member: host:NAME, controller or operator (repeatable)"
        )
        var members: [String] = []

        @Flag(help: "Issue new keys to the controller or operator (--member) and revoke the old ones")
        var replace = false

        @Option(
            help: ArgumentHelp("Folder for the identity with the new keys (default: ./MEMBER)", valueName: "folder")
        )
        var output: String?

        @Option(help: "Validity of the new certificates, in days")
        var days = 365

        func validate() throws {
            guard (1...3650).contains(days) else { throw ValidationError("--days must be 1 to 3650.") }
            guard members.isEmpty || !authority else {
                throw ValidationError("--authority applies to all members: it excludes --member.")
            }
            guard !replace || members == ["controller"] || members == ["operator"] else {
                throw ValidationError("--replace requires --member controller or --member operator.")
            }
            guard replace || output == nil else { throw ValidationError("--output requires --replace.") }
            guard authority || !now else { throw ValidationError("--now requires --authority.") }
            for member in members where LedgerWriter(member) == nil {
                throw ValidationError("'\(member)' is not a member: use host:NAME, controller or operator.")
            }
        }

        func run() async throws {
            let cluster = try await options.open()
            let lifetime = Duration.seconds(days * 86400)
            if replace {
                let folder = absolute(output ?? members[0])
                let enrollment: Enrollment = members[0] == "controller" ? .controller : .operator
                try await cluster.add(enrollment, replacing: true, lifetime: lifetime, folder: folder)
                try await options.publish(cluster)
                print("The old keys of the \(members[0]) are revoked. Its new identity is in \(folder).")
                print("Next: install that folder as identity.\(members[0]), and restart what uses it.")
                return
            }
            let step: RotationStep
            if authority {
                step = try await cluster.rotateAuthority(withoutWaiting: now, lifetime: lifetime)
            } else {
                try await cluster.renew(members.compactMap { LedgerWriter($0) }, lifetime: lifetime)
                step = .renewed
            }
            try await options.publish(cluster)
            print(Self.description(step))
        }

        private static func description(_ step: RotationStep) -> String {
            let minutes = Int(ClusterAuthority.settling.inSeconds) / 60
            return switch step {
            case .renewed: "Certificates renewed. The hosts install them automatically."
            case .introduced:
                "Step 1 of 3 done: a new authority is trusted in addition to the old one. Next step in \(minutes) minutes."
            case .issued:
                "Step 2 of 3 done: the new authority has issued all certificates. Next step in \(minutes) minutes."
            case .retired: "Step 3 of 3 done: the old authority is no longer trusted."
            }
        }
    }

    struct Publish: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the newest roster to the ledger's folder again"
        )

        @OptionGroup var options: ClusterOptions

        func run() async throws {
            let ledger = try options.ledgerFolder()
            let authority = try await options.open()
            try await authority.publish(to: ledger)
            print("Roster \(await authority.roster.number) published in \(ledger).")
        }
    }
}
