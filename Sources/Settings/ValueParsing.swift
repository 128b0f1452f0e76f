// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The reason why a value is not valid for its key.
struct ValueError: Error {
    var reason: String
}

/// Parses a duration above zero: `5s`, `300ms`, `10min`, `1h`.
func parseDuration(_ text: String) throws(ValueError) -> Duration {
    let units: [(String, Double)] = [("ms", 0.001), ("min", 60), ("s", 1), ("h", 3600)]
    for (unit, factor) in units where text.hasSuffix(unit) {
        guard let number = Double(text.dropLast(unit.count)), number.isFinite else { break }
        let milliseconds = number * factor * 1000
        guard milliseconds >= 1, milliseconds < 1e13 else { break }
        return .milliseconds(Int64(milliseconds.rounded()))
    }
    throw ValueError(reason: "'\(text)' is not a duration above zero, such as 300ms, 5s, 10min or 1h")
}

func format(_ duration: Duration) -> String {
    let milliseconds = duration.wholeMilliseconds
    if milliseconds % 3_600_000 == 0 { return "\(milliseconds / 3_600_000)h" }
    if milliseconds % 60000 == 0 { return "\(milliseconds / 60000)min" }
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
}

/// Parses a size above zero and returns it in bytes: `16MiB`, `1GiB`, `4096B`.
func parseSize(_ text: String) throws(ValueError) -> UInt64 {
    let units: [(String, UInt64)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)]
    for (unit, factor) in units where text.hasSuffix(unit) {
        guard let number = UInt64(text.dropLast(unit.count)), number > 0 else { break }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow else { break }
        return bytes
    }
    throw ValueError(reason: "'\(text)' is not a size above zero, such as 16MiB")
}

func format(size: UInt64) -> String {
    for (unit, factor) in [("GiB", UInt64(1 << 30)), ("MiB", 1 << 20), ("KiB", 1 << 10)] where size % factor == 0 {
        return "\(size / factor)\(unit)"
    }
    return "\(size)B"
}

/// Parses a share above 0 and up to 1: `80%` or `0.8`.
func parseShare(_ text: String) throws(ValueError) -> Double {
    let number = text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
    guard let number, number > 0, number <= 1 else {
        throw ValueError(reason: "'\(text)' is not a share above 0 and up to 1, such as 80% or 0.8")
    }
    return number
}

/// Returns whole percent if that is exact, so that the text parses to the same value.
func format(share: Double) -> String {
    let percent = (share * 100).rounded()
    return percent / 100 == share ? "\(Int(percent))%" : String(share)
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

/// Parses a ratio above 0 and up to 100: `1`, `1.5` or `150%`.
func parseRatio(_ text: String) throws(ValueError) -> Double {
    let number = text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
    guard let number, number > 0, number <= 100 else {
        throw ValueError(reason: "'\(text)' is not a ratio above 0 and up to 100, such as 1, 1.5 or 150%")
    }
    return number
}

func parseWeight(_ text: String) throws(ValueError) -> Double {
    guard let number = Double(text), number >= 0, number <= 1000 else {
        throw ValueError(reason: "'\(text)' is not a weight from 0 to 1000")
    }
    return number
}

/// Returns the shortest decimal form: `2`, `1.5`.
func format(number: Double) -> String {
    number == number.rounded() && abs(number) < 1e9 ? String(Int(number)) : String(number)
}

/// Parses a bandwidth in bits per second, `1Gbit` or `500Mbit`, and returns it in bytes per second.
func parseBandwidth(_ text: String) throws(ValueError) -> Double {
    for (unit, factor) in [("Gbit", 1e9), ("Mbit", 1e6)] where text.hasSuffix(unit) {
        guard let number = Double(text.dropLast(unit.count)), number > 0, number <= 1e6 else { break }
        return number * factor / 8
    }
    throw ValueError(reason: "'\(text)' is not a bandwidth, such as 1Gbit or 500Mbit")
}

/// Returns a text that parses to the same value: each computation step rounds, so the shortest nearby number is used.
func format(bandwidth: Double) -> String {
    let (unit, factor) = bandwidth * 8 >= 1e9 ? ("Gbit", 1e9) : ("Mbit", 1e6)
    let number = bandwidth * 8 / factor
    let near = (-4...4).map { number + Double($0) * number.ulp }.filter { $0 * factor / 8 == bandwidth }
    let shortest = near.map(format(number:)).min { ($0.count, $0) < ($1.count, $1) }
    return (shortest ?? format(number: number)) + unit
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
