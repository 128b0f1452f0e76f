// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Formats numbers with their units; `percent` of Fleet formats shares.
package enum Units {
    /// Formats a number with this number of decimals: `0.15`.
    package static func decimals(_ value: Double, _ places: Int = 2) -> String { String(format: "%.\(places)f", value) }

    /// Formats a number with up to three decimals, without trailing zeros: `0.093`, `48`.
    static func number(_ value: Double) -> String {
        var text = decimals(value, 3)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text == "-0" ? "0" : text
    }

    /// Formats a number of things: `1 move`, `2 moves`.
    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// Formats milliseconds; shows implausible values as more than a million, because a member can write any value.
    package static func milliseconds(_ seconds: Double) -> String {
        let value = seconds * 1000
        return value.isFinite && abs(value) <= 1e6 ? "\(Int(value.rounded())) ms" : "over 1000000 ms"
    }

    package static func seconds(_ seconds: Double) -> String { "\(decimals(seconds, 1)) s" }

    /// Formats seconds, from two minutes as minutes: `34.4 s`, `2.5 min`.
    static func duration(_ seconds: Double) -> String {
        seconds < 120 ? Self.seconds(seconds) : "\(decimals(seconds / 60, 1)) min"
    }

    /// Formats an age: `34 s`, `5 min`, `3 h`, `12 d`.
    static func age(_ seconds: Double) -> String {
        switch seconds {
        case ..<120: "\(Int(max(0, seconds))) s"
        case ..<7200: "\(Int(seconds / 60)) min"
        case ..<172_800: "\(Int(seconds / 3600)) h"
        default: "\(Int(min(seconds, 1e15) / 86400)) d"
        }
    }

    static func gibibytes(_ bytes: UInt64) -> String { gibibytes(Double(bytes)) }

    static func gibibytes(_ bytes: Double) -> String {
        let gibibytes = bytes / 0x1p30
        return gibibytes >= 100 || gibibytes == gibibytes.rounded()
            ? "\(Int(gibibytes.rounded())) GiB" : "\(decimals(gibibytes, 1)) GiB"
    }
}
