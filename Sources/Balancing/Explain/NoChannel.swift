// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Why no channel is open on a path; each list in the policy's order.
public struct NoChannel: Codable, Sendable, Hashable {
    public var path: Path
    /// What `policy.channels` allows.
    public var allowed: [Channel]
    /// Of these, what each host offers.
    public var ofSource: [Channel]
    public var ofTarget: [Channel]
    /// Of these, what leaks have closed between the two.
    public var closed: [Channel]
}
