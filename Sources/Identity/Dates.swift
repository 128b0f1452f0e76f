// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Glibc

/// Instants in the formats of openssl.
enum Dates {
    /// Returns the format that `openssl ca` accepts: `20270131120000Z`.
    static func generalized(_ instant: Instant) -> String { instant.readable.filter { $0.isNumber || $0 == "Z" } }

    /// Parses the output of `-dateopt iso_8601`; `nil` for anything else.
    static func parse(_ text: Substring) -> Instant? {
        let parts = text.split { !$0.isASCII || !$0.isNumber }.compactMap { Int32($0) }
        guard text.last == "Z", parts.count == 6 else { return nil }
        var time = tm()
        (time.tm_year, time.tm_mon, time.tm_mday) = (parts[0] - 1900, parts[1] - 1, parts[2])
        (time.tm_hour, time.tm_min, time.tm_sec) = (parts[3], parts[4], parts[5])
        return Instant(milliseconds: Int64(timegm(&time)) * 1000)
    }
}
