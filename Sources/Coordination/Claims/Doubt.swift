// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Claims of one host that another host contradicts; an operator must find out which of them is wrong.
public struct Doubt: Codable, Sendable, Hashable, CustomStringConvertible {
    public var host: HostName
    public var contradictions: [Contradiction]

    public var description: String {
        "\(host): \(contradictions.map(\.description).joined(separator: "; ")); check the VMs on both hosts"
    }
}
