// SPDX-License-Identifier: Apache-2.0
import Fleet

// Quantities with units: the same in the file, in the environment and in flags.

/// Parses a duration above zero: `300ms`, `5s`, `10min` or `10m`, `1h`; a number alone is in seconds.
public func parseDuration(_ text: String, upTo limit: Duration? = nil) throws(ValueError) -> Duration {
    let units = [("ms", 1.0), ("s", 1000), ("min", 60000), ("m", 60000), ("h", 3_600_000), ("", 1000)]
    guard let (number, factor) = split(text, by: units), let number = Double(number),
        (1..<1e13).contains(number * factor)
    else { throw ValueError(reason: "'\(text)' is not a duration above zero, such as 300ms, 5s, 10min or 1h") }
    let duration = Duration.milliseconds(Int64((number * factor).rounded()))
    if let limit, duration > limit { throw ValueError(reason: "'\(text)' exceeds the limit of \(format(limit))") }
    return duration
}

func format(_ duration: Duration) -> String {
    let milliseconds = duration.wholeMilliseconds
    if milliseconds % 3_600_000 == 0 { return "\(milliseconds / 3_600_000)h" }
    if milliseconds % 60000 == 0 { return "\(milliseconds / 60000)min" }
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
}

/// Parses a size above zero and returns it in bytes: `4096B`, `16MiB`, `1.5GiB`, `4G`; every unit is a power of 1,024.
public func parseSize(_ text: String, upTo limit: UInt64 = .max) throws(ValueError) -> UInt64 {
    let units: [(String, UInt64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("B", 1), ("K", 1 << 10),
        ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40),
    ]
    guard let (number, factor) = split(text, by: units), let size = bytes(number, times: factor), size > 0 else {
        throw ValueError(reason: "'\(text)' is not a size above zero, such as 512M, 4G or 16MiB")
    }
    guard size <= limit else { throw ValueError(reason: "'\(text)' exceeds the limit of \(format(size: limit))") }
    return size
}

/// Returns the product, exactly if the number is whole; `nil` if it is not a number of bytes.
private func bytes(_ number: Substring, times factor: UInt64) -> UInt64? {
    guard let whole = UInt64(number) else {
        return Double(number).flatMap { UInt64(exactly: ($0 * Double(factor)).rounded(.down)) }
    }
    let (bytes, overflow) = whole.multipliedReportingOverflow(by: factor)
    return overflow ? nil : bytes
}

func format(size: UInt64) -> String {
    let units = [("TiB", UInt64(1 << 40)), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    for (unit, factor) in units where size % factor == 0 { return "\(size / factor)\(unit)" }
    return "\(size)B"
}

/// Parses a share above 0, `80%` or `0.8`; a limit above 1 allows overcommit.
public func parseShare(_ text: String, upTo limit: Double = 1) throws(ValueError) -> Double {
    guard let share = fraction(text), share > 0, share <= limit else {
        let range = "above 0 and up to \(format(number: limit))"
        throw ValueError(reason: "'\(text)' is not a share \(range), such as 80% or 0.8")
    }
    return share
}

/// Returns whole percent if that is exact, so that the text parses to the same value.
func format(share: Double) -> String {
    let percent = (share * 100).rounded()
    return percent / 100 == share ? "\(Int(percent))%" : String(share)
}

/// Parses a ratio above 0 and up to 100: `1`, `1.5` or `150%`.
func parseRatio(_ text: String) throws(ValueError) -> Double {
    guard let ratio = fraction(text), ratio > 0, ratio <= 100 else {
        throw ValueError(reason: "'\(text)' is not a ratio above 0 and up to 100, such as 1, 1.5 or 150%")
    }
    return ratio
}

private func fraction(_ text: String) -> Double? {
    text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
}

/// Returns the shortest decimal form: `2`, `1.5`.
func format(number: Double) -> String {
    number == number.rounded() && abs(number) < 1e9 ? String(Int(number)) : String(number)
}

/// Parses a bandwidth in bits per second, `1Gbit` or `500Mbit`, and returns it in bytes per second.
func parseBandwidth(_ text: String) throws(ValueError) -> Double {
    guard let (number, factor) = split(text, by: [("Gbit", 1e9), ("Mbit", 1e6)]), let number = Double(number),
        number > 0, number <= 1e6
    else { throw ValueError(reason: "'\(text)' is not a bandwidth, such as 1Gbit or 500Mbit") }
    return number * factor / 8
}

/// Returns a text that parses to the same value: each computation step rounds, so the shortest nearby number is used.
func format(bandwidth: Double) -> String {
    let (unit, factor) = bandwidth * 8 >= 1e9 ? ("Gbit", 1e9) : ("Mbit", 1e6)
    let number = bandwidth * 8 / factor
    let near = (-4...4).map { number + Double($0) * number.ulp }.filter { $0 * factor / 8 == bandwidth }
    let shortest = near.map(format(number:)).min { ($0.count, $0) < ($1.count, $1) }
    return (shortest ?? format(number: number)) + unit
}

/// Splits a text into the number and the factor of the first unit that it ends with.
private func split<Factor>(_ text: String, by units: [(String, Factor)]) -> (Substring, Factor)? {
    units.first { text.hasSuffix($0.0) }.map { (text.dropLast($0.0.count), $0.1) }
}
