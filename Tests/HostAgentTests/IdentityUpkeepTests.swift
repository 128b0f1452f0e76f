// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Glibc
import Ledger
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Escort
@testable import HostAgent
@testable import Identity

/// Uses a real authority and real certificates; a fake charon accepts or refuses handshakes.
@Suite struct IdentityUpkeepTests {
    final class FakeCharon: Sendable {
        struct Down: Error {}
        let refuses = Mutex(false)
        /// Commands with this argument fail.
        let failing = Mutex<String?>(nil)
        let loads = Mutex(0)
        let ended = Mutex<[String]>([])

        var runner: CommandRunner {
            CommandRunner { [self] command, _ in
                let arguments = command.arguments
                if let failing = failing.withLock({ $0 }), arguments.contains(failing) { throw Down() }
                if arguments.contains("--load-all") { loads.withLock { $0 += 1 } }
                if arguments.contains("--terminate") { ended.withLock { $0 += arguments } }
                if arguments.contains("--initiate"), arguments.contains("--ike"), refuses.withLock({ $0 }) {
                    let said = "[IKE] received AUTHENTICATION_FAILED notify error"
                    return CommandResult(exitCode: 1, standardOutput: said)
                }
                return CommandResult(exitCode: 0, standardOutput: Self.answer(to: arguments))
            }
        }

        private static func answer(to arguments: [String]) -> String {
            if arguments.contains("--stats") { return "stats reply {\n  plugins = [\n    kernel-netlink\n  ]\n}\n" }
            let names = ["evenkeel-h2", "evenkeel-_verify-h2"]
            if arguments.contains("--list-conns") {
                return names.map { "list-conn event {\n  \($0) {\n  }\n}\n" }.joined()
            }
            if arguments.contains("--list-sas") {
                return "list-sa event {\n  evenkeel-h2 {\n    state = ESTABLISHED\n  }\n}\n"
            }
            return ""
        }
    }

    /// With these ends a publication need not look them up.
    private static let ends = Dictionary(
        uniqueKeysWithValues: LedgerStream.allCases.map { ($0.rawValue, Cursor(segment: 1, offset: 0)) }
    )

    struct World: Sendable {
        let folder: String
        let authority: ClusterAuthority
        let charon: FakeCharon
        let mesh: Mesh
        let upkeep: IdentityUpkeep
        let roster: CurrentRoster
        let pki: String
        let log: LogCapture

        var inventory: Inventory {
            Inventory(
                hosts: ["h1", "h2"].map {
                    let number = String($0.dropFirst())
                    return InventoryHost(
                        name: HostName($0),
                        address: "10.0.0.\(number)",
                        innerAddress: "10.1.0.\(number)",
                        libvirtURI: ""
                    )
                }
            )
        }

        func look() async { await upkeep.look(mesh, inventory: inventory) }
        func publish() async throws { try await authority.publish(to: "\(folder)/ledger") }
        func text(_ path: String) async throws -> String { try await Command("cat", [path]).run() }
    }

    private func with(_ body: (World) async throws -> Void) async throws {
        let folder = "/tmp/evenkeel-upkeep-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let authority = try await ClusterAuthority.create(folder: "\(folder)/cluster")
        for number in 1...2 {
            let host = HostName("h\(number)")
            let enrollment = try Enrollment.host(host, address: "10.0.0.\(number)", inner: "10.1.0.\(number)")
            try await authority.add(enrollment, folder: "\(folder)/\(host)")
        }
        _ = try await Command("mkdir", ["\(folder)/swanctl"]).run()
        try await SharedLog.create(folder: "\(folder)/ledger")
        let own = IdentityFolder("\(folder)/h1")
        let identity = try await own.load()
        let charon = FakeCharon()
        let roster = CurrentRoster(identity.roster)
        let log = LogCapture()
        let upkeep = IdentityUpkeep(
            folder: own,
            identity: identity,
            roster: roster,
            ledgerFolder: "\(folder)/ledger",
            pki: PKIFolders(root: "\(folder)/pki", reload: Command("true")),
            servesMesh: true,
            logger: log.logger("h1")
        )
        let mesh = Mesh(
            local: HostName("h1"),
            credentials: try CertificateCredentials(identity),
            placement: .alone(folder: "\(folder)/swanctl"),
            runner: charon.runner
        )
        let world = World(
            folder: folder,
            authority: authority,
            charon: charon,
            mesh: mesh,
            upkeep: upkeep,
            roster: roster,
            pki: "\(folder)/pki",
            log: log
        )
        let result: Result<Void, any Error>
        do {
            try await mesh.apply(world.inventory)
            result = .success(try await body(world))
        } catch { result = .failure(error) }
        _ = try await Command("rm", ["-rf", folder]).result()
        try result.get()
    }

    @Test func `a renewed certificate that peers accept is in force for IKE, libvirt and QEMU`() async throws {
        try await with { world in
            let old = await world.upkeep.identity.certificate.pem
            try await world.authority.renew()
            try await world.publish()
            await world.look()
            let new = await world.upkeep.identity.certificate.pem
            #expect(new != old)
            for file in ["h1/certificate.pem", "swanctl/x509/evenkeel.pem", "pki/libvirt/servercert.pem"]
                + ["pki/libvirt/clientcert.pem", "pki/qemu/server-cert.pem", "pki/qemu/client-cert.pem"]
            {
                #expect(try await world.text("\(world.folder)/\(file)") == new, "\(file)")
            }
            let modes = try await Command("find", [world.pki, "-name", "*key.pem", "-printf", "%m "]).run()
            #expect(modes == "600 600 600 600 ")
            let loads = world.charon.loads.withLock { $0 }
            await world.look()
            #expect(world.charon.loads.withLock { $0 } == loads, "nothing new was loaded again")
        }
    }

    @Test func `a certificate that a peer refuses is rolled back and not retried for a while`() async throws {
        try await with { world in
            let old = await world.upkeep.identity.certificate.pem
            try await world.authority.renew()
            try await world.publish()
            // The peer accepts the old certificate, and refuses every handshake once the new one is loaded.
            let runner = world.charon.runner
            let judging = CommandRunner { [world] command, input in
                let shown = try await world.text("\(world.folder)/swanctl/x509/evenkeel.pem")
                world.charon.refuses.withLock { $0 = shown != old }
                return try await runner(command, input: input)
            }
            let mesh = Mesh(
                local: HostName("h1"),
                credentials: try CertificateCredentials(await world.upkeep.identity),
                placement: .alone(folder: "\(world.folder)/swanctl"),
                runner: judging
            )
            try await mesh.apply(world.inventory)
            for _ in 1...2 {
                await world.upkeep.look(mesh, inventory: world.inventory)
                #expect(await world.upkeep.identity.certificate.pem == old)
                #expect(try await world.text("\(world.folder)/swanctl/x509/evenkeel.pem") == old)
                #expect(try await world.text("\(world.folder)/h1/certificate.pem") == old)
            }
        }
    }

    @Test func `a removed peer loses its tunnel and mesh entry without a verification handshake`()
        async throws
    {
        try await with { world in
            try await world.authority.remove(.host(HostName("h2")), reason: "stolen", ends: Self.ends)
            try await world.publish()
            world.charon.refuses.withLock { $0 = true }
            await world.look()
            #expect(world.charon.ended.withLock { $0 }.contains("evenkeel-h2"))
            #expect(await world.upkeep.trusted(world.inventory).hosts.map(\.name) == [HostName("h1")])
            let roster = await world.authority.roster
            let list = try await world.text("\(world.folder)/swanctl/x509crl/evenkeel-1.pem")
            #expect(list == roster.anchors[0].revocations)
        }
    }

    // MARK: retries

    private func remove(_ world: World) async throws {
        try await world.authority.remove(.host(HostName("h2")), reason: "stolen", ends: [:])
        try await world.publish()
    }

    /// The state after one check of a revocation, whichever of its steps failed.
    private func requireRevoked(_ world: World) async throws {
        let roster = await world.authority.roster
        #expect(world.roster.roster == roster)
        #expect(await world.upkeep.trusted(world.inventory).hosts.map(\.name) == [HostName("h1")])
    }

    private func requireCarriedOut(_ world: World) async throws {
        let list = await world.authority.roster.anchors[0].revocations
        #expect(world.charon.ended.withLock { $0 }.contains("evenkeel-h2"))
        for file in ["swanctl/x509crl/evenkeel-1.pem", "pki/CA/cacrl.pem", "pki/qemu/ca-crl.pem"] {
            #expect(try await world.text("\(world.folder)/\(file)") == list, "\(file)")
        }
    }

    @Test(arguments: ["--stats", "--load-all", "--list-sas", "--terminate"])
    func `a revocation is retried until charon is there, and counts before that`(failing: String) async throws {
        try await with { world in
            await world.look()
            try await remove(world)
            world.charon.failing.withLock { $0 = failing }
            await world.look()
            try await requireRevoked(world)
            let list = await world.authority.roster.anchors[0].revocations
            #expect(try await world.text("\(world.pki)/CA/cacrl.pem") == list, "libvirt does not wait for charon")
            #expect(world.log.contains("cannot update the identity"))
            #expect(!world.log.contains("the identity is up to date again"))
            world.charon.failing.withLock { $0 = nil }
            await world.look()
            try await requireCarriedOut(world)
            let loads = world.charon.loads.withLock { $0 }
            await world.look()
            #expect(world.charon.loads.withLock { $0 } == loads, "it was carried out once")
            #expect(world.log.count("the identity is up to date again") == 1)
        }
    }

    @Test func `a revocation is carried out even if loading the identity or serving libvirt fails`() async throws {
        try await with { world in
            await world.look()
            try await remove(world)
            _ = try await Command("chmod", ["666", "\(world.folder)/h1/certificate.pem"]).run()
            let qemu = "\(world.pki)/qemu"
            _ = try await Command("bash", ["-ec", "mv \(qemu) \(qemu).away; touch \(qemu)"]).run()
            await world.look()
            try await requireRevoked(world)
            #expect(world.charon.ended.withLock { $0 }.contains("evenkeel-h2"))
            _ = try await Command("bash", ["-ec", "rm \(qemu); mv \(qemu).away \(qemu)"]).run()
            _ = try await Command("chmod", ["644", "\(world.folder)/h1/certificate.pem"]).run()
            await world.look()
            try await requireCarriedOut(world)
        }
    }

    /// Returns the agent's next run, with charon unchanged.
    private func nextLife(_ world: World) async throws -> (IdentityUpkeep, Mesh) {
        let folder = IdentityFolder("\(world.folder)/h1")
        let identity = try await folder.load()
        let upkeep = IdentityUpkeep(
            folder: folder,
            identity: identity,
            ledgerFolder: "\(world.folder)/ledger",
            pki: nil,
            servesMesh: true,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        let mesh = Mesh(
            local: HostName("h1"),
            credentials: try CertificateCredentials(identity),
            placement: .alone(folder: "\(world.folder)/swanctl"),
            runner: world.charon.runner
        )
        try await mesh.apply(world.inventory)
        return (upkeep, mesh)
    }

    @Test(arguments: [true, false])
    func `tunnels with replaced keys end even if the agent was stopped before it ended them`(
        afterOneLook: Bool
    ) async throws {
        try await with { world in
            func ended() -> Bool { world.charon.ended.withLock { $0.contains("evenkeel-h2") } }
            try await world.publish()
            await world.look()
            #expect(!ended(), "a new host has nothing to end")
            let h2 = try Enrollment.host(HostName("h2"), address: "10.0.0.2", inner: "10.1.0.2")
            try await world.authority.add(h2, replacing: true, folder: "\(world.folder)/h2-again")
            try await world.publish()
            if afterOneLook {
                world.charon.failing.withLock { $0 = "--terminate" }
                await world.look()
                world.charon.failing.withLock { $0 = nil }
            } else {
                // It adopted the roster and was stopped right then.
                let change = try await IdentityFolder("\(world.folder)/h1").update(fromLedger: "\(world.folder)/ledger")
                #expect(change.endedHosts == [HostName("h2")])
            }
            #expect(!ended())
            var (upkeep, mesh) = try await nextLife(world)
            await upkeep.look(mesh, inventory: world.inventory)
            #expect(ended())
            world.charon.ended.withLock { $0 = [] }
            (upkeep, mesh) = try await nextLife(world)
            await upkeep.look(mesh, inventory: world.inventory)
            #expect(!ended(), "it is carried out once")
        }
    }

    @Test(arguments: [true, false])
    func `a tunnel with a newly known host ends if the host's keys were replaced`(
        replaced: Bool
    ) async throws {
        try await with { world in
            await world.look()
            if replaced {
                let h2 = try Enrollment.host(HostName("h2"), address: "10.0.0.2", inner: "10.1.0.2")
                try await world.authority.add(h2, replacing: true, folder: "\(world.folder)/h2-again")
            }
            try await world.publish()
            await world.look()
            #expect(world.charon.ended.withLock { $0.contains("evenkeel-h2") } == replaced)
        }
    }

    @Test func `every tunnel is reopened if the previous run left no record of its progress`() async throws {
        try await with { world in
            try await world.publish()
            await world.look()
            _ = try await Command("rm", ["\(world.folder)/h1/roster.carried-out.json"]).run()
            let (upkeep, mesh) = try await nextLife(world)
            await upkeep.look(mesh, inventory: world.inventory)
            #expect(world.charon.ended.withLock { $0.contains("evenkeel-h2") })
        }
    }

    @Test func `a swap that fails halfway leaves the old certificate in force`() async throws {
        try await with { world in
            await world.look()
            let old = await world.upkeep.identity.certificate.pem
            try await world.authority.renew()
            try await world.publish()
            let runner = world.charon.runner
            let breaking = CommandRunner { [world] command, input in
                let shown = try await world.text("\(world.folder)/swanctl/x509/evenkeel.pem")
                if shown != old, command.arguments.contains("--load-all") { throw FakeCharon.Down() }
                return try await runner(command, input: input)
            }
            let mesh = Mesh(
                local: HostName("h1"),
                credentials: try CertificateCredentials(await world.upkeep.identity),
                placement: .alone(folder: "\(world.folder)/swanctl"),
                runner: breaking
            )
            try await mesh.apply(world.inventory)
            await world.upkeep.look(mesh, inventory: world.inventory)
            #expect(await world.upkeep.identity.certificate.pem == old)
            try await mesh.apply(world.inventory)
            #expect(try await world.text("\(world.folder)/swanctl/x509/evenkeel.pem") == old)
            #expect(try await world.text("\(world.folder)/h1/certificate.pem") == old)
        }
    }
}
