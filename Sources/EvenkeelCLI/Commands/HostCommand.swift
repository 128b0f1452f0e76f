// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Identity
import Ledger
import Settings

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host",
        abstract: "Add, remove or list the hosts of the cluster",
        subcommands: [Add.self, Remove.self, List.self]
    )

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a host: create a bundle with its key, certificate and configuration entry",
            discussion: """
                The bundle contains the host's private key. Copy it to the host over a secure channel, install it as \
                described in its README, and delete it here. Other hosts learn of the host through the ledger.
                """
        )

        @OptionGroup var options: ClusterChangeOptions

        @Argument(help: "Name of the host, as in 'hosts' in the configuration")
        var name: String

        @Option(help: "Address of the host on the LAN")
        var address: String

        @Option(
            help: ArgumentHelp(
                "Address inside the tunnels, which exists nowhere else (default: the configured or previous one; "
                    + "otherwise the first free one in the network of the other hosts' inner addresses, initially "
                    + "10.78.0.0/24 or fd78::/64)",
                valueName: "address"
            )
        )
        var innerAddress: String?

        @Option(help: "Number of CPUs; the host cannot claim more")
        var cpus: Int?

        @Option(
            help: ArgumentHelp("Size of its memory, such as 64G; the host cannot claim more", valueName: "size"),
            transform: { try parseSize($0, upTo: 1 << 50) }
        )
        var memory: UInt64?

        @Option(help: ArgumentHelp("Folder for the bundle (default: ./NAME)", valueName: "folder"))
        var output: String?

        @Option(help: "Validity of the certificate, in days")
        var days = 365

        @Flag(
            help: ArgumentHelp(
                "Issue new keys to an existing host, after a compromise: its certificates are revoked, and nothing "
                    + "its old keys signed counts any more"
            )
        )
        var replace = false

        func validate() throws {
            guard (1...3650).contains(days) else { throw ValidationError("--days must be 1 to 3650.") }
            guard cpus.map({ $0 > 0 }) ?? true else { throw ValidationError("--cpus must be above zero.") }
        }

        func run() async throws {
            let host = HostName(name)
            let hardware = cpus == nil && memory == nil ? nil : Roster.Hardware(cpus: cpus, memoryBytes: memory)
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
            print("\(name): address inside the tunnels: \(inner.text), \(inner.reason)")
            print("\(name): added to the cluster; bundle with its private key: \(bundle.folder)")
            print("Next: install the bundle on \(name), and nowhere else, as described in \(bundle.folder)/README.")
        }

        private func innerAddress(in authority: ClusterAuthority) async throws -> InnerAddress {
            if let innerAddress { return InnerAddress(text: innerAddress, reason: "as specified") }
            return try await authority.innerAddress(
                for: HostName(name),
                address: address,
                configured: options.configuration.settings().inventory
            )
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a host from the cluster: revoke its certificates and reject its later records",
            discussion: """
                Move its VMs away first. The other hosts close their tunnels to it as soon as they read the ledger. \
                Afterwards, delete it from 'hosts' in the configuration.
                """
        )

        @OptionGroup var options: ClusterChangeOptions

        @Argument(help: "Name of the host")
        var name: String

        @Option(help: "Reason, recorded in the roster and shown in refusals")
        var reason = "removed by the administrator"

        func run() async throws {
            let authority = try await options.open()
            // Its earlier records stay valid; without the ledger, the next publication ensures that.
            let ends = try await options.ledgerFolder().mapAsync { try await SharedLog.ends(folder: $0) } ?? [:]
            try await authority.remove(.host(HostName(name)), reason: reason, ends: ends)
            try await options.publish(authority)
            print("\(name): removed from the cluster")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the hosts of the cluster")

        @OptionGroup var options: ClusterOptions

        @Flag(help: "Print JSON")
        var json = false

        func run() async throws {
            let hosts = try await ClusterView(options.open().roster).members.filter { $0.kind == "host" }
            print(json ? try jsonText(hosts) : ClusterView.table(hosts, empty: "No hosts.").text)
        }
    }
}

extension Optional {
    func mapAsync<Value>(_ transform: (Wrapped) async throws -> Value) async rethrows -> Value? {
        guard let self else { return nil }
        return try await transform(self)
    }
}
