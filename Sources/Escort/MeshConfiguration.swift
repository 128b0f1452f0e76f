// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The mesh of one host as a swanctl.conf: pure text from checked values.
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
                // The first child too gets a key exchange of its own.
                "childless": "force",
                // A host that restarted replaces what its peer still believes in.
                "unique": "replace",
                "keyingtries": "0",
                "dpd_delay": "5s",
                "rekey_time": "4h",
            ],
            sections: [local, remote, SwanctlSection("children", sections: [child])]
        )
    }

    /// Name of the connection that tries credentials; no host's name begins with `_`.
    static func verification(_ peer: MeshPlan.Member) -> String {
        MeshPlan.prefix + "_verify-" + peer.connection.dropFirst(MeshPlan.prefix.count)
    }

    /// A connection between the same two hosts by their inner addresses instead of their names, without a child.
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

    /// The child SA between the two inner addresses; it has the name of its connection.
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
                // Never `start`: charon closes what it started so when the connection is loaded anew, with a renewed
                // certificate for instance. `Mesh.apply` opens it. libipsec knows no traps before strongSwan 5.9.11.
                "start_action": implementation == .kernel ? "trap" : "none",
                "close_action": initiates ? "start" : "none",
                "dpd_action": initiates ? "restart" : "clear",
                "rekey_time": "1h",
            ]
        )
    }
}
