// SPDX-License-Identifier: Apache-2.0

extension Settings {
    /// The weaknesses that this configuration accepts; an agent logs them when it starts.
    public var weaknesses: [String] {
        var weaknesses: [String] = []
        if ledger.unsigned {
            weaknesses.append(
                "records are not signed (ledger.unsigned): anyone who can write to the ledger can order moves"
            )
        }
        if escort.pskFile != nil {
            weaknesses.append(
                "the mesh uses pre-shared keys (escort.psk_file): anyone who has the cluster's key can impersonate any "
                    + "host, a host cannot be revoked, and keys never expire. Use certificates instead ('evenkeel host "
                    + "add')."
            )
        }
        return weaknesses
    }
}
