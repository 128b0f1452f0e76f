// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// Controls strongSwan's daemon, charon, through swanctl.
struct Charon: Sendable {
    let runner: CommandRunner
    /// charon's control socket, for instance `unix:///var/run/charon.vici`; `nil` for swanctl's default.
    let socket: String?

    /// Time limit of a command; charon exceeds it only if it hangs.
    ///
    /// Calls take seconds on a busy host (docs/measurements.md, strongSwan).
    static let patience: Duration = .seconds(15)

    func implementation() async throws -> ESPImplementation {
        let reply = ViciReply(pretty: try await swanctl("asking charon for its state", ["--stats", "--pretty"]))
        let plugins = reply[section: "stats reply"]?.lists["plugins"] ?? []
        guard let implementation = ESPImplementation(loadedPlugins: plugins) else {
            throw EscortError.refused(
                step: "looking for charon's ESP",
                reason: "neither kernel-netlink nor kernel-libipsec is loaded (\(plugins.joined(separator: " ")))"
            )
        }
        return implementation
    }

    func connectionNames() async throws -> Set<String> {
        let reply = ViciReply(pretty: try await swanctl("listing charon's connections", ["--list-conns", "--pretty"]))
        return Set(reply.sections.filter { $0.name == "list-conn event" }.flatMap { $0.content.sections.map(\.name) })
    }

    /// Returns the IKE SAs of one connection, or of all.
    func associations(_ connection: String? = nil, within limit: Duration = patience) async throws -> [IKEAssociation] {
        let filter = connection.map { ["--ike", $0] } ?? []
        return IKEAssociation.all(
            in: try await swanctl("listing charon's SAs", ["--list-sas", "--pretty"] + filter, within: limit)
        )
    }

    /// Replaces charon's connections and secrets by those of the file in the folder; `nil`: of the machine's
    /// swanctl.conf.
    ///
    /// `clearing` makes charon forget its cached certificates: of two with the same name it may present the old one.
    func load(_ place: (folder: String, file: String)?, clearing: Bool) async throws {
        let arguments = ["--load-all", "--noprompt"] + (clearing ? ["--clear"] : [])
        guard let place else {
            try await swanctl("loading the mesh", arguments, within: .hangLimit)
            return
        }
        try await swanctl(
            "loading the mesh",
            arguments + ["--file", place.file],
            within: .hangLimit,
            environment: ["SWANCTL_DIR": place.folder]
        )
    }

    /// Starts to initiate a child SA; does not wait for the outcome.
    func beginInitiating(_ child: String) async throws {
        try await swanctl("opening \(child)", ["--initiate", "--child", child, "--timeout", "-1"])
    }

    /// Starts to rekey the IKE SA with the peer; its ESP SAs stay as they are.
    func beginRekeying(_ connection: String, within limit: Duration) async throws {
        try await swanctl("rekeying \(connection)", ["--rekey", "--ike", connection], within: limit)
    }

    /// Terminates the connection's SAs without the peer's consent; succeeds if there are none.
    func terminate(_ connection: String) async throws {
        let arguments = ["--terminate", "--ike", connection, "--force"]
        do {
            try await swanctl("closing \(connection)", arguments)
        } catch EscortError.refused(_, let reason) where reason.contains("no matching SAs") {
            return
        }
    }

    @discardableResult
    func swanctl(
        _ step: String,
        _ arguments: [String],
        within limit: Duration = patience,
        environment: [String: String] = [:]
    ) async throws -> String {
        var command = command(arguments, within: limit)
        command.environment = environment
        let result: CommandResult
        do {
            result = try await runner(command)
        } catch CommandError.timedOut(_, let limit) {
            throw EscortError.charonNotRunning(socket: socketName, reason: "no answer within \(limit.text)")
        } catch let error as CommandError {
            throw EscortError.refused(step: step, reason: error.description)
        }
        if result.succeeded { return result.standardOutput }
        let errorMessage = result.errorMessage
        if result.standardError.contains("connecting to '") {
            throw EscortError.charonNotRunning(socket: socketName, reason: "no connection to the socket")
        }
        throw EscortError.refused(step: step, reason: errorMessage)
    }

    func command(_ arguments: [String], within limit: Duration = patience) -> Command {
        Command("swanctl", arguments + (socket.map { ["--uri", $0] } ?? []), timeLimit: limit)
    }

    private var socketName: String { socket ?? "strongSwan's default socket" }
}
