// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import HostOS
import Escort
import Fleet
import Foundation
import Settings

struct MeshCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "Show tunnels and dropped packets of this host, or remove its tunnels and gates",
        discussion: "The agent creates tunnels and gates at start and re-applies them while it runs."
    )

    @OptionGroup var options: AgentOptions

    @Flag(help: "Print JSON")
    var json = false

    @Flag(help: "Remove tunnels, gates, routes and inner address from this host; stop the agent first")
    var remove = false

    private struct View: Encodable {
        var peers: [TunnelStatus]
        var gates: GateCounters
    }

    func run() async throws {
        let (settings, host) = try options.settings()
        let mesh = try options.mesh(settings, of: host, try await options.identity(settings, of: host))
        guard !remove else {
            let lock = try ProcessLock(path: RunCommand.lockPath, purpose: "agent")
            // Applying makes the mesh the owner of everything present, so that it removes it.
            do { try await mesh.apply(settings.inventory) } catch EscortError.charonNotRunning {}
            try await mesh.remove()
            withExtendedLifetime(lock) {}
            print("\(host): mesh removed; moves to and from this host are refused")
            return
        }
        try await mesh.observe(settings.inventory)
        let view = View(peers: try await mesh.meshStatus(), gates: try await mesh.gateCounters())
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(view), as: UTF8.self))
        } else {
            for peer in view.peers { print(Self.line(peer)) }
            let gates = view.gates
            print(
                "gates: \(gates.inbound.packets) packets dropped inbound, \(gates.outbound.packets) outbound, "
                    + "\(gates.forwarded.packets) forwarded"
            )
        }
    }

    private static func line(_ peer: TunnelStatus) -> String {
        guard peer.isUp, let sa = peer.association else {
            return "\(peer.peer): down\(peer.trouble.map { ", \($0)" } ?? "")"
        }
        let age = peer.ageSeconds.map { ", age \($0) s" } ?? ""
        let bytes = "\(peer.inbound?.bytes ?? 0) bytes in, \(peer.outbound?.bytes ?? 0) out"
        return
            "\(peer.peer): up, \(sa.suite), \(sa.mode.rawValue), ESP in \(sa.implementation.rawValue)\(age), \(bytes)"
    }
}
