// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Reads what a line claims, without verifying or decoding it.
///
/// It recognizes only the exact form in which this program writes lines; everything else yields `nil`.
struct LineGlimpse {
    private let bytes: [UInt8]
    private var next: Int

    /// The fields before the time are short: no line needs more than this.
    private static let headBytes = 4096

    /// Returns the time that a line claims.
    static func time(_ bytes: [UInt8]) -> Instant? {
        guard var glimpse = Self(bytes, after: #"","at":"#) else { return nil }
        return glimpse.number().map { Instant(milliseconds: $0) }
    }

    /// Returns the order and the step that the line of a report claims, such as `a1` and `running`.
    static func report(_ bytes: [UInt8]) -> (order: String, step: String)? {
        guard var glimpse = Self(bytes, after: #","body":{"#), glimpse.skip(#""at":"#), glimpse.number() != nil else {
            return nil
        }
        if glimpse.skip(#","gateSeconds":"#) { glimpse.skipFigure() }
        guard glimpse.skip(#","host":"#), glimpse.text() != nil, glimpse.skip(#","order":"#),
            let order = glimpse.text(), glimpse.skip(#","step":{"#), let step = glimpse.text()
        else { return nil }
        return (order, step)
    }

    private init?(_ bytes: [UInt8], after text: StaticString) {
        let found = bytes.withUnsafeBufferPointer { buffer -> Int? in
            let count = text.utf8CodeUnitCount
            let last = min(buffer.count, Self.headBytes) - count
            guard last >= 0 else { return nil }
            return (0...last).first { start in
                (0..<count).allSatisfy { buffer[start + $0] == text.utf8Start[$0] }
            }.map { $0 + count }
        }
        guard let found else { return nil }
        self.bytes = bytes
        next = found
    }

    private mutating func skip(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard bytes.count - next >= count, (0..<count).allSatisfy({ bytes[next + $0] == text.utf8Start[$0] }) else {
            return false
        }
        next += count
        return true
    }

    /// Reads a time in the bounds of `Instant`, which has at most 16 digits.
    private mutating func number() -> Int64? {
        let start = next
        while next < bytes.count, (48...57).contains(bytes[next]) { next += 1 }
        guard next - start <= 16 else { return nil }
        return Int64(String(decoding: bytes[start..<next], as: UTF8.self))
    }

    private mutating func skipFigure() {
        while next < bytes.count, bytes[next] != UInt8(ascii: ",") { next += 1 }
    }

    /// Reads a string without escapes.
    private mutating func text() -> String? {
        guard next < bytes.count, bytes[next] == UInt8(ascii: "\"") else { return nil }
        let start = next + 1
        next = start
        while next < bytes.count, bytes[next] != UInt8(ascii: "\"") {
            if bytes[next] == UInt8(ascii: "\\") { return nil }
            next += 1
        }
        guard next < bytes.count else { return nil }
        defer { next += 1 }
        return String(decoding: bytes[start..<next], as: UTF8.self)
    }
}
