// SPDX-License-Identifier: Apache-2.0

/// How IPsec carries migrations between two hosts.
public enum IPsecMode: String, Sendable, CaseIterable {
    /// Between the hosts' inner addresses, which nothing else leads to.
    case tunnel
    /// Between their LAN addresses, the migration ports alone; with ESP in the kernel.
    case transport
}
