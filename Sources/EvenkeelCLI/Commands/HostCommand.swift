// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Identity
import Ledger
import Settings

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host",
        abstract: "Add hosts to the cluster, remove them, list them.",
        subcommands: [Add.self, Remove.self, List.self]
    )

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a host's bundle: its key, its certificate, and its part of the configuration.",
            discussion: """
                Copy the bundle to the host by a safe way (it has the host's private key), install it as README in it \
                says, and delete it here. The other hosts hear of it by the ledger.
                """
        )

        @OptionGroup var options: ClusterOptions

        @Argument(help: "The host's name, as in 'hosts' of the configuration.")
        var name: String

        @Option(help: "Its address on the LAN.")
        var address: String

        @Option(
            help: ArgumentHelp(
                "Its address inside the tunnels, which exists nowhere else (default: the one that the configuration has "
                    + "for it or that it had; otherwise the first free one in the /24, for IPv6 the /64, of the other "
                    + "hosts', which begins as 10.78.0.0/24, for IPv6 as fd78::/64).",
                valueName: "address"
            )
        )
        var innerAddress: String?

        @Option(help: "How many CPUs it has; then it cannot claim more.")
        var cpus: Int?

        @Option(
            help: ArgumentHelp("How much memory it has, such as 64G; then it cannot claim more.", valueName: "size")
        )
        var memory: String?

        @Option(help: ArgumentHelp("Where the bundle goes (default: NAME in this folder).", valueName: "folder"))
        var output: String?

        @Option(help: "For how many days the certificate is good.")
        var days = 365

        @Flag(
            help: ArgumentHelp(
                "Give a host that is in the cluster new keys, after a compromise: its certificates are revoked, and "
                    + "what its old keys signed no longer counts."
            )
        )
        var replace = false

        func validate() throws {
            guard (1...3650).contains(days) else { throw ValidationError("--days must be 1 to 3650.") }
            guard cpus.map({ $0 > 0 }) ?? true else { throw ValidationError("--cpus must be above zero.") }
        }

        func run() async throws {
            let host = HostName(name)
            let bytes = try memory.map { try Quantity.size($0) }
            let hardware = cpus == nil && bytes == nil ? nil : Roster.Hardware(cpus: cpus, memoryBytes: bytes)
            let authority = try await options.open()
            let inner = try await innerAddress(in: authority)
            let enrollment = try Enrollment.host(host, address: address, inner: inner.text)
            let bundle = HostBundle(
                folder: absolute(output ?? name),
                host: InventoryHost(
                    name: host,
                    address: address,
                    innerAddress: inner.text,
                    libvirtURI: "qemu+tls://\(name)/system"
                )
            )
            try await authority.add(
                enrollment,
                hardware: hardware,
                replacing: replace,
                lifetime: .seconds(days * 86400),
                folder: bundle.identityFolder
            )
            try bundle.writeTexts()
            try await options.publish(authority)
            print("\(name)'s address inside the tunnels: \(inner.text), \(inner.reason)")
            print("\(name) is in the cluster. Its bundle, with its private key: \(bundle.folder)")
            print("It belongs on \(name) and nowhere else; \(bundle.folder)/README says how it is installed.")
        }

        private func innerAddress(in authority: ClusterAuthority) async throws -> InnerAddress {
            if let innerAddress { return InnerAddress(text: innerAddress, reason: "as asked for") }
            return try await authority.innerAddress(
                for: HostName(name),
                address: address,
                configured: options.configuration.settings().inventory
            )
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a host off the cluster: its certificates are revoked, nothing it says counts any more.",
            discussion: """
                The others end their tunnels to it as soon as they read the ledger. Move its VMs away first, and take \
                it out of 'hosts' in the configuration afterwards.
                """
        )

        @OptionGroup var options: ClusterOptions

        @Argument(help: "The host's name.")
        var name: String

        @Option(help: "Why; the roster and refusals say it.")
        var reason = "removed by the administrator"

        func run() async throws {
            let authority = try await options.open()
            // What it wrote so far still counts; without the ledger at hand the next publication sees to that.
            let ends = try await options.ledgerFolder().mapAsync { try await SharedLog.ends(folder: $0) } ?? [:]
            try await authority.remove(.host(HostName(name)), reason: reason, ends: ends)
            try await options.publish(authority)
            print("\(name) is removed.")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the cluster's hosts.")

        @OptionGroup var options: ClusterOptions

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let hosts = try await ClusterView(options.open().roster).members.filter { $0.kind == "host" }
            print(json ? try jsonText(hosts) : ClusterView.table(hosts, empty: "No host.").text)
        }
    }
}

extension Optional {
    func mapAsync<Value>(_ transform: (Wrapped) async throws -> Value) async rethrows -> Value? {
        guard let self else { return nil }
        return try await transform(self)
    }
}
