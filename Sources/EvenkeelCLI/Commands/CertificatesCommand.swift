// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Identity
import Ledger

struct CertificatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates",
        abstract: "Show when certificates expire, renew them, replace the certificate authority.",
        subcommands: [Show.self, Rotate.self, Publish.self],
        defaultSubcommand: Show.self
    )

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Every anchor and certificate: subject, fingerprint, expiry (the default).",
            discussion: "Exit code 1 when one has expired."
        )

        @OptionGroup var options: ClusterOptions

        @Flag(help: "Print JSON.")
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
            abstract: "Renew certificates, or take the next step of replacing the certificate authority.",
            discussion: """
                Renewed certificates keep their keys. Hosts find them by the ledger, try them with each peer and put \
                the old one back if a peer refuses it; no running migration is touched.

                --authority makes one step for each call: 1. a new authority is trusted beside the old one; 2. all \
                certificates are issued by it; 3. the old one is trusted no more. Between the steps it waits until all \
                hosts can have taken up the one before. A call that was cut short is simply made again.

                --replace is for a stolen key of the controller or the operator: nothing that it signed counts any \
                more, orders under way included. 'evenkeel host add --replace' does the same for a host.
                """
        )

        @OptionGroup var options: ClusterOptions

        @Flag(help: "Take the next step of replacing the certificate authority.")
        var authority = false

        @Flag(help: "All hosts have the step before: do not wait.")
        var now = false

        @Option(
            name: .customLong("member"),
            help: "Renew this one alone (host:NAME, controller, operator); repeatable."
        )
        var members: [String] = []

        @Flag(help: "Give the controller or the operator (--member) new keys and revoke the old, after a compromise.")
        var replace = false

        @Option(
            help: ArgumentHelp("Where the identity with the new keys goes (default: ./MEMBER).", valueName: "folder")
        )
        var output: String?

        @Option(help: "For how many days the new certificates are good.")
        var days = 365

        func validate() throws {
            guard (1...3650).contains(days) else { throw ValidationError("--days must be 1 to 3650.") }
            guard members.isEmpty || !authority else { throw ValidationError("--authority is for all members.") }
            guard !replace || members == ["controller"] || members == ["operator"] else {
                throw ValidationError("--replace goes with --member controller or --member operator.")
            }
            guard replace || output == nil else { throw ValidationError("--output goes with --replace.") }
            guard authority || !now else { throw ValidationError("--now goes with --authority.") }
            for member in members where LedgerWriter(member) == nil {
                throw ValidationError("'\(member)' is none of host:NAME, controller, operator.")
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
                print("The old keys of the \(members[0]) count no more; those in \(folder) do.")
                print("Put that folder in place of identity.\(members[0]), and start what uses it again.")
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
            print(Self.words(step))
        }

        private static func words(_ step: RotationStep) -> String {
            let minutes = Int(ClusterAuthority.settling.inSeconds) / 60
            return switch step {
            case .renewed: "The certificates are renewed; hosts take them up by themselves."
            case .introduced:
                "Step 1 of 3: a new authority is trusted beside the old one. Call again in \(minutes) minutes."
            case .issued: "Step 2 of 3: all certificates are the new authority's. Call again in \(minutes) minutes."
            case .retired: "Step 3 of 3: the old authority is trusted no more."
            }
        }
    }

    struct Publish: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the newest roster into the ledger's folder again."
        )

        @OptionGroup var options: ClusterOptions

        func run() async throws {
            guard let ledger = try options.ledgerFolder() else { throw ValidationError("--offline publishes nothing.") }
            let authority = try await options.open()
            try await authority.publish(to: ledger)
            print("Roster \(await authority.roster.number) is in \(ledger).")
        }
    }
}
