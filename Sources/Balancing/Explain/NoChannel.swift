// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Why no channel is open on a path; each list is in the policy's order.
public struct NoChannel: Codable, Sendable, Hashable {
    public var path: Path
    /// Channels that `policy.channels` allows.
    public var allowed: [Channel]
    /// Allowed channels that each host offers.
    public var ofSource: [Channel]
    public var ofTarget: [Channel]
    /// Allowed channels that leaks have closed between the two hosts.
    public var closed: [Channel]
}
