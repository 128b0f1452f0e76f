// SPDX-License-Identifier: Apache-2.0

extension Settings {
    /// What this configuration leaves open that another would not, in words; an agent says so when it starts.
    public var weaknesses: [String] {
        var weaknesses: [String] = []
        if ledger.unsigned {
            weaknesses.append(
                "records are not signed (ledger.unsigned): whoever can write to the ledger can order moves"
            )
        }
        if escort.pskFile != nil {
            weaknesses.append(
                "the mesh goes by pre-shared keys (escort.psk_file): whoever has the cluster's key can pass for any host, "
                    + "a host cannot be revoked, and a key never expires; certificates ('evenkeel host add') have none of "
                    + "these weaknesses"
            )
        }
        return weaknesses
    }
}
