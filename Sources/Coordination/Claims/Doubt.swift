// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Claims of a host that one witness alone contradicts: which of the two lies is for people to find out.
public struct Doubt: Codable, Sendable, Hashable, CustomStringConvertible {
    public var host: HostName
    public var contradictions: [Contradiction]

    public var description: String {
        "\(host): \(contradictions.map(\.description).joined(separator: "; ")): one of the two is wrong; plans use the "
            + "lower figure"
    }
}
