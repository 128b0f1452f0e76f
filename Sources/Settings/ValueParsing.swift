// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The reason why a value is not valid.
public struct ValueError: Error, CustomStringConvertible {
    public var reason: String
    public var description: String { reason }
}

func parseCount(_ text: String) throws(ValueError) -> Int {
    guard let number = Int(text), number > 0, number <= 1_000_000 else {
        throw ValueError(reason: "'\(text)' is not a whole number from 1 to 1000000")
    }
    return number
}

/// Parses a whole number from 0.
func parseNumber(_ text: String) throws(ValueError) -> Int {
    guard let number = Int(text), number >= 0, number <= 1_000_000 else {
        throw ValueError(reason: "'\(text)' is not a whole number from 0 to 1000000")
    }
    return number
}

func parseLevel(_ text: String) throws(ValueError) -> Int {
    guard let level = Int(text), (1...5).contains(level) else {
        throw ValueError(reason: "'\(text)' is not a level from 1 to 5")
    }
    return level
}

func parseWeight(_ text: String) throws(ValueError) -> Double {
    guard let number = Double(text), number >= 0, number <= 1000 else {
        throw ValueError(reason: "'\(text)' is not a weight from 0 to 1000")
    }
    return number
}

/// Parses the name of an enumeration's case.
func parseName<Names: RawRepresentable<String> & CaseIterable>(_ text: String) throws(ValueError) -> Names {
    guard let value = Names(rawValue: text) else {
        throw ValueError(reason: "'\(text)' is not one of \(Names.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return value
}

/// Parses the channels that a policy may choose, each once: `ipsec, tls`.
func parseChannels(_ text: String) throws(ValueError) -> [Channel] {
    var channels: [Channel] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        let channel: Channel = try parseName(String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()))
        // No policy may fall back to `plain`: it must be requested by name for each move.
        guard channel != .plain else {
            throw ValueError(
                reason: "'plain' is unprotected: no policy can choose it, only 'evenkeel migrate --channel plain'"
            )
        }
        guard !channels.contains(channel) else { throw ValueError(reason: "'\(channel.rawValue)' is listed twice") }
        channels.append(channel)
    }
    return channels
}

func parseBool(_ text: String) throws(ValueError) -> Bool {
    switch text {
    case "true": return true
    case "false": return false
    default: throw ValueError(reason: "'\(text)' is not true or false")
    }
}

func parseText(_ text: String) throws(ValueError) -> String {
    guard !text.isEmpty else { throw ValueError(reason: "must not be empty") }
    return text
}

func parsePath(_ text: String) throws(ValueError) -> String {
    guard text.hasPrefix("/") else { throw ValueError(reason: "'\(text)' is not an absolute path") }
    return text
}

/// Parses a port range with both ends included: `49152-49215`.
func parsePorts(_ text: String) throws(ValueError) -> ClosedRange<Int> {
    let ends = text.split(separator: "-").compactMap { Int($0) }
    guard ends.count == 2, (1024...65535).contains(ends[0]), (ends[0]...65535).contains(ends[1]) else {
        throw ValueError(reason: "'\(text)' is not a port range, such as 49152-49215")
    }
    return ends[0]...ends[1]
}

/// Parses a libvirt URI over ssh that verifies the peer.
func parseSSHURI(_ text: String) throws(ValueError) -> String {
    guard text.contains("+ssh://"), text.contains("{address}") else {
        throw ValueError(reason: "'\(text)' is not a URI such as qemu+ssh://root@{address}/system")
    }
    guard !text.contains("no_verify=") else {
        throw ValueError(reason: "'\(text)' does not verify the peer: remove no_verify")
    }
    return text
}
