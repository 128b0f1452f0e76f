// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Glibc

@testable import Escort

/// Several hosts on this machine, each a network namespace with its own charon, on one LAN.
///
/// All names have the prefix `eke` and this process's number; nothing else on the machine is touched.
struct Hosts: Sendable {
    let tag: String
    let count: Int
    let folder: String
    let key: String
    let family: IPAddress.Family

    /// The ESP implementation: `EVENKEEL_TEST_ESP=kernel` uses the kernel's ESP.
    static let esp: ESPImplementation =
        getenv("EVENKEEL_TEST_ESP").map { String(cString: $0) } == "kernel" ? .kernel : .userSpace

    /// The missing prerequisites of the tests; empty if there are none.
    static let missing: [String] = {
        var missing = geteuid() == 0 ? [] : ["root"]
        for file in ["/usr/lib/ipsec/charon", "/usr/sbin/swanctl", "/usr/sbin/nft", "/usr/bin/tcpdump", "/dev/net/tun"]
        where access(file, F_OK) != 0 {
            missing.append(file)
        }
        return missing
    }()

    /// Prints why the real tests do not run.
    static var canRun: Bool {
        if !missing.isEmpty { print("skipped, as this is missing: \(missing.joined(separator: ", "))") }
        return missing.isEmpty
    }

    /// Runs the body with hosts 1 to `count`, and always takes everything down afterwards.
    static func with(
        _ count: Int,
        family: IPAddress.Family = .v4,
        _ body: @escaping @Sendable (Hosts) async throws -> Void
    ) async throws {
        let tag = "eke\(getpid())"
        let hosts = Hosts(
            tag: tag,
            count: count,
            folder: "/tmp/\(tag)",
            key: "cluster " + (0..<32).map { _ in String(Int.random(in: 0...9)) }.joined(),
            family: family
        )
        do {
            try await hosts.up()
            try await body(hosts)
        } catch {
            await hosts.down()
            throw error
        }
        await hosts.down()
    }

    func namespace(_ host: Int) -> String { "\(tag)-\(host)" }
    var lan: String { "\(tag)-lan" }
    func name(_ host: Int) -> HostName { HostName("h\(host)") }
    func address(_ host: Int) -> String { family == .v4 ? "10.77.9.\(host)" : "fd77:9::\(host)" }
    func inner(_ host: Int) -> String { family == .v4 ? "10.78.9.\(host)" : "fd78:9::\(host)" }
    func hostFolder(_ host: Int) -> String { "\(folder)/\(host)" }
    func socket(_ host: Int) -> String { "unix://\(hostFolder(host))/charon.vici" }

    func inventory(_ hosts: [Int]? = nil) -> Inventory {
        Inventory(
            hosts: (hosts ?? Array(1...count)).map {
                InventoryHost(name: name($0), address: address($0), innerAddress: inner($0), libvirtURI: "")
            }
        )
    }

    func mesh(
        _ host: Int,
        key: String? = nil
    ) throws -> Mesh {
        mesh(host, credentials: try PreSharedKeys(text: key ?? self.key, path: "test"))
    }

    func mesh(
        _ host: Int,
        credentials: any Credentials
    ) -> Mesh {
        Mesh(
            local: name(host),
            credentials: credentials,
            placement: .alone(folder: hostFolder(host)),
            socket: socket(host),
            runner: runner(host)
        )
    }

    /// Returns a runner for the escort's commands in a host's network, with the copies of programs first in the path.
    func runner(_ host: Int) -> CommandRunner {
        CommandRunner { address, port, _ in
            // Longer than the product's limits: here a program has to start in the meantime.
            switch try? await probe(from: host, address, port) {
            case .silence: .shut
            case .refusal, .connection: .open
            default: .unknown
            }
        } _: { command, input in
            var environment = command.environment
            environment["PATH"] = path
            return try await Command(
                "ip",
                ["netns", "exec", namespace(host), command.program] + command.arguments,
                environment: environment,
                timeLimit: command.timeLimit
            ).result(input: input)
        }
    }

    /// Returns a mesh for every host, applied.
    func meshes() async throws -> [Mesh] {
        var meshes: [Mesh] = []
        for host in 1...count {
            let mesh = try mesh(host)
            try await mesh.apply(inventory())
            meshes.append(mesh)
        }
        return meshes
    }

    @discardableResult
    func on(_ host: Int, _ script: String, timeLimit: Duration = .seconds(30)) async throws -> String {
        try await shell("ip netns exec \(namespace(host)) bash -c '\(script)'", timeLimit: timeLimit)
    }

    @discardableResult
    func shell(_ script: String, timeLimit: Duration = .seconds(30)) async throws -> String {
        try await Command("bash", ["-c", script], environment: ["PATH": path], timeLimit: timeLimit).run()
    }

    /// The search path, with the folder of copies first.
    private var path: String { "\(folder)/bin:" + (getenv("PATH").map { String(cString: $0) } ?? "/usr/sbin:/usr/bin") }

    func swanctl(_ host: Int, _ arguments: String) async throws -> String {
        try await shell("swanctl \(arguments) --uri \(socket(host))")
    }

    private func up() async throws {
        await Self.sweep()
        try await shell(
            """
            set -e; mkdir -m 700 \(folder); mkdir \(folder)/bin
            # Debian's AppArmor profiles attach by path and allow no other configuration and sockets than the usual.
            cp /usr/lib/ipsec/charon $(command -v swanctl tcpdump) \(folder)/bin
            ip netns add \(lan)
            ip -n \(lan) link add br0 type bridge; ip -n \(lan) link set br0 up
            """
        )
        for host in 1...count {
            try await shell(
                """
                set -e; ip netns add \(namespace(host)); mkdir -p \(hostFolder(host))/run
                # Duplicate address detection would change an address's state a second or two later.
                ip netns exec \(namespace(host)) sysctl -qw net.ipv6.conf.{all,default}.accept_dad=0
                ip -n \(lan) link add p\(host) type veth peer name eth0 netns \(namespace(host))
                ip -n \(lan) link set p\(host) master br0 up
                ip -n \(namespace(host)) link set lo up; ip -n \(namespace(host)) link set eth0 up
                ip -n \(namespace(host)) addr add \(address(host))\(family == .v4 ? "/24" : "/64") dev eth0
                """
            )
        }
        for host in 1...count { try await startCharon(host) }
    }

    /// Starts charon with its own /run and waits until it answers.
    func startCharon(_ host: Int) async throws {
        let folder = hostFolder(host)
        try await shell(
            """
            cat > \(folder)/strongswan.conf <<'END'
            charon {
              load = random nonce x509 revocation constraints pubkey pem pkcs1 pkcs8 openssl gcm aes sha1 sha2 hmac kdf curve25519 \
            \(Self.esp == .userSpace ? "kernel-libipsec " : "")kernel-netlink socket-default vici updown
              cert_cache = no
              retransmit_tries = 3
              retransmit_timeout = 2
              retransmit_base = 1.4
              plugins {
                vici {
                  socket = unix://\(folder)/charon.vici
                }
              }
            }
            END
            rm -f \(folder)/charon.vici
            STRONGSWAN_CONF=\(folder)/strongswan.conf setsid ip netns exec \(namespace(host)) unshare -m sh -c \
            'mount --make-rprivate / && mount --bind \(folder)/run /run && exec \(self.folder)/bin/charon' \
            > \(folder)/charon.log 2>&1 < /dev/null &
            echo $! > \(folder)/pid
            """
        )
        try await eventually("charon \(host) answers") { try await swanctl(host, "--stats").contains("uptime") }
    }

    /// Kills charon and waits for its exit.
    func killCharon(_ host: Int, _ signal: Int32 = SIGKILL) async throws {
        let pid = try await shell("cat \(hostFolder(host))/pid").trimmed
        try await shell("kill -\(signal) \(pid); while [ -d /proc/\(pid) ]; do sleep 0.02; done")
    }

    /// Polls until the condition holds; an error counts as not yet.
    func eventually(
        _ what: String,
        within limit: Duration = .seconds(15),
        _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        var last: (any Error)?
        while ContinuousClock.now < deadline {
            do {
                if try await condition() { return }
            } catch {
                last = error
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Never(what: what, limit: limit, last: last.map { "\($0)" })
    }

    struct Never: Error { var what: String, limit: Duration, last: String? }

    private func down() async {
        await Self.remove(tag: tag, hosts: (1...count).map { namespace($0) } + [lan])
    }

    /// Ends every process in the namespaces, which are all ours, and deletes the namespaces.
    private static func remove(tag: String, hosts: [String]) async {
        for namespace in hosts {
            _ = try? await Command(
                "bash",
                ["-c", "kill -9 $(ip netns pids \(namespace)); ip netns del \(namespace)"],
                timeLimit: .seconds(10)
            ).result()
        }
        _ = try? await Command("rm", ["-rf", "/tmp/\(tag)"]).result()
    }

    /// Removes the remains of a killed test process.
    private static func sweep() async {
        let listing = (try? await Command("ip", ["netns", "list"]).run()) ?? ""
        for line in listing.split(separator: "\n") {
            let name = line.prefix { $0 != " " }
            let tag = name.prefix { $0 != "-" }
            guard tag.hasPrefix("eke"), let pid = Int32(tag.dropFirst(3)), pid != getpid(), kill(pid, 0) != 0 else {
                continue
            }
            await remove(tag: String(tag), hosts: [String(name)])
        }
    }
}

extension String {
    var trimmed: String {
        split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}
