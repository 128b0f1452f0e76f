// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The mesh of one host as text for swanctl.conf, made of checked values.
struct MeshConfiguration: Sendable {
    let text: String
    /// Names of its connections.
    let connections: Set<String>

    init(
        plan: MeshPlan,
        credentials: any Credentials,
        implementation: ESPImplementation,
        minimum: MinimumSuite = .aes256
    ) throws {
        var connections: [SwanctlSection] = []
        var secrets: [SwanctlSection] = []
        for peer in plan.peers {
            let authentication = try credentials.authentication(local: plan.local.name, peer: peer.name)
            let child = Self.child(plan, peer, implementation, minimum)
            connections.append(Self.connection(plan, peer, authentication, minimum, child))
            if authentication.provesAddresses {
                connections.append(Self.verification(plan, peer, authentication, minimum))
            }
            for (index, secret) in authentication.secrets.enumerated() {
                var named = secret
                named.name += "-\(peer.connection)" + (index == 0 ? "" : "-\(index)")
                secrets.append(named)
            }
        }
        self.connections = Set(connections.map(\.name))
        text =
            "# Made by evenkeel-agent; changes are overwritten.\n"
            + SwanctlSection("connections", sections: connections).text() + "\n"
            + SwanctlSection("secrets", sections: secrets).text() + "\n"
    }

    private static func connection(
        _ plan: MeshPlan,
        _ peer: MeshPlan.Member,
        _ authentication: Authentication,
        _ minimum: MinimumSuite,
        _ child: SwanctlSection
    ) -> SwanctlSection {
        var local = authentication.local
        local.settings.append(("id", Authentication.identity(plan.local.name)))
        var remote = authentication.remote
        remote.settings.append(("id", Authentication.identity(peer.name)))
        return SwanctlSection(
            peer.connection,
            [
                "version": "2",
                "local_addrs": plan.local.address.description,
                "remote_addrs": peer.address.description,
                "proposals": minimum.ikeProposals,
                "mobike": "no",
                // The first child, too, gets a separate key exchange.
                "childless": "force",
                // A host that restarted replaces the SA that its peer still has.
                "unique": "replace",
                "keyingtries": "0",
                "dpd_delay": "5s",
                "rekey_time": "4h",
            ],
            sections: [local, remote, SwanctlSection("children", sections: [child])]
        )
    }

    /// Returns the name of the verification handshake's connection; no host name begins with `_`.
    static func verification(_ peer: MeshPlan.Member) -> String {
        MeshPlan.prefix + "_verify-" + peer.connection.dropFirst(MeshPlan.prefix.count)
    }

    /// Returns a connection without a child between the same two hosts, identified by inner addresses instead of names.
    private static func verification(
        _ plan: MeshPlan,
        _ peer: MeshPlan.Member,
        _ authentication: Authentication,
        _ minimum: MinimumSuite
    ) -> SwanctlSection {
        var local = authentication.local
        local.settings.append(("id", plan.local.inner.description))
        var remote = authentication.remote
        remote.settings.append(("id", peer.inner.description))
        return SwanctlSection(
            verification(peer),
            [
                "version": "2",
                "local_addrs": plan.local.address.description,
                "remote_addrs": peer.address.description,
                "proposals": minimum.ikeProposals,
                "mobike": "no",
                "childless": "force",
                "unique": "never",
                "keyingtries": "1",
                "dpd_delay": "5s",
            ],
            sections: [local, remote]
        )
    }

    /// Returns the child SA between the two inner addresses; it has the name of its connection.
    private static func child(
        _ plan: MeshPlan,
        _ peer: MeshPlan.Member,
        _ implementation: ESPImplementation,
        _ minimum: MinimumSuite
    ) -> SwanctlSection {
        let initiates = plan.initiates(to: peer)
        return SwanctlSection(
            peer.connection,
            [
                "esp_proposals": minimum.espProposals,
                "mode": "tunnel",
                "local_ts": plan.local.inner.hostPrefix,
                "remote_ts": peer.inner.hostPrefix,
                // Never `start`: charon closes such a child when the connection is loaded again, for instance with a
                // renewed certificate. `Mesh.apply` initiates it. libipsec does not support traps before strongSwan
                // 5.9.11.
                "start_action": implementation == .kernel ? "trap" : "none",
                "close_action": initiates ? "start" : "none",
                "dpd_action": initiates ? "restart" : "clear",
                "rekey_time": "1h",
            ]
        )
    }
}
