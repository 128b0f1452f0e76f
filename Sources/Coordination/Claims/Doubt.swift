// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Claims of a host that a single witness contradicts; an operator must find out whether host or witness is wrong.
public struct Doubt: Codable, Sendable, Hashable, CustomStringConvertible {
    public var host: HostName
    public var contradictions: [Contradiction]

    public var description: String {
        "\(host): \(contradictions.map(\.description).joined(separator: "; ")); host or witness is wrong, and plans "
            + "use the lower figure"
    }
}
