// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import FoundationEssentials

/// Reads the fields at the beginning of a line in order.
struct LineScanner {
    /// The bytes that have not been read yet.
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// Skips a text that must come next; returns false if it does not.
    mutating func skip(_ text: String) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest.removeFirst(text.utf8.count)
        return true
    }

    /// Returns everything before the next quotation mark, and skips the mark.
    mutating func word() -> String? {
        guard let end = rest.firstIndex(of: UInt8(ascii: "\"")) else { return nil }
        defer { rest = rest[(end + 1)...] }
        return String(validating: rest[..<end], as: UTF8.self)
    }

    /// Reads a JSON string with its quotation marks and escapes.
    mutating func string() -> String? {
        guard rest.first == UInt8(ascii: "\"") else { return nil }
        var end = rest.startIndex + 1
        while end < rest.endIndex, rest[end] != UInt8(ascii: "\"") {
            end += rest[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard end < rest.endIndex else { return nil }
        defer { rest = rest[(end + 1)...] }
        return try? JSONDecoder().decode(String.self, from: Data(rest[...end]))
    }

    /// Reads a time, which must be within the bounds of `Instant`.
    mutating func instant() -> Instant? {
        let digits = rest.prefix { $0 == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        rest.removeFirst(digits.count)
        return try? JSONDecoder().decode(Instant.self, from: Data(digits))
    }
}
