// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// Quantities with units, as given on the command line.
enum Quantity {
    /// Parses `2s`, `500ms`, `1min`, or a number of seconds.
    static func duration(_ text: String) throws -> Duration {
        let units: [(String, Double)] = [("ms", 0.001), ("min", 60), ("s", 1), ("", 1)]
        guard let seconds = scaled(text, by: units), seconds >= 0.001, seconds <= 86_400 else {
            throw ValidationError("'\(text)' is not a time of up to a day, such as 2s, 500ms or 1min")
        }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }

    /// Parses `4G`, `512M` or `1.5GiB` to bytes, in powers of 1,024.
    static func size(_ text: String) throws -> UInt64 {
        let units: [(String, Double)] = [
            ("TiB", 0x1p40), ("GiB", 0x1p30), ("MiB", 0x1p20), ("T", 0x1p40), ("G", 0x1p30), ("M", 0x1p20),
        ]
        guard let bytes = scaled(text, by: units), bytes >= 1, bytes <= 0x1p50 else {
            throw ValidationError("'\(text)' is not a size such as 512M or 4G")
        }
        return UInt64(bytes)
    }

    /// Parses a share above 0: `90%`, `0.9`; above 1 for overcommit: `1.2`.
    static func share(_ text: String) throws -> Double {
        guard let share = scaled(text, by: [("%", 0.01), ("", 1)]), share > 0, share <= 10 else {
            throw ValidationError("'\(text)' is not a share above 0 and up to 10, such as 90% or 0.9")
        }
        return share
    }

    private static func scaled(_ text: String, by units: [(String, Double)]) -> Double? {
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let number = Double(text.dropLast(unit.count)), number.isFinite else { return nil }
            return number * factor
        }
        return nil
    }
}
