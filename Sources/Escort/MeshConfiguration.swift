// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The mesh of one host as a swanctl.conf: pure text from checked values.
struct MeshConfiguration: Sendable {
    let text: String
    /// Names of its connections; each has one child of the same name.
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
            connections.append(
                Self.connection(plan, peer, authentication, implementation, minimum)
            )
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
        _ implementation: ESPImplementation,
        _ minimum: MinimumSuite
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
            sections: [
                local, remote, SwanctlSection("children", sections: [child(plan, peer, implementation, minimum)]),
            ]
        )
    }

    private static func child(
        _ plan: MeshPlan,
        _ peer: MeshPlan.Member,
        _ implementation: ESPImplementation,
        _ minimum: MinimumSuite
    ) -> SwanctlSection {
        let initiates = plan.initiates(to: peer)
        let startAction =
            switch (implementation, initiates) {
            case (.kernel, true): "trap|start"
            case (.kernel, false): "trap"
            // libipsec has no trap policies before strongSwan 5.9.11.
            case (.userSpace, true): "start"
            case (.userSpace, false): "none"
            }
        return SwanctlSection(
            peer.connection,
            [
                "esp_proposals": minimum.espProposals,
                "mode": "tunnel",
                "local_ts": plan.local.inner.hostPrefix,
                "remote_ts": peer.inner.hostPrefix,
                "start_action": startAction,
                "close_action": initiates ? "start" : "none",
                "dpd_action": initiates ? "restart" : "clear",
                "rekey_time": "1h",
            ]
        )
    }
}
