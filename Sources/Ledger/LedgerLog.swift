// SPDX-License-Identifier: Apache-2.0

/// A log of the ledger, with positions of its own: a stream, or one writer's part of a stream.
public struct LedgerLog: Hashable, Sendable, CustomStringConvertible {
    public var stream: LedgerStream
    /// The only writer; `nil`: all writers share the log.
    public var writer: LedgerWriter?

    public init(_ stream: LedgerStream, of writer: LedgerWriter? = nil) {
        self.stream = stream
        self.writer = writer
    }

    /// `orders`, or `load/host:h1` for one writer's part.
    public var description: String { writer.map { "\(stream.rawValue)/\($0)" } ?? stream.rawValue }

    /// Parses a `description`; `nil` if it is not one.
    init?(_ description: String) {
        let parts = description.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, let stream = LedgerStream(rawValue: String(name)) else { return nil }
        self.init(stream)
        guard parts.count == 2 else { return }
        guard let writer = LedgerWriter(String(parts[1])) else { return nil }
        self.writer = writer
    }
}

extension LedgerStream {
    /// Returns the log to which a writer appends.
    ///
    /// Each writer has its own log of samples: it waits for no other writer, and needs no lock.
    func log(of writer: LedgerWriter) -> LedgerLog { LedgerLog(self, of: self == .load ? writer : nil) }
}

extension LedgerWriter {
    /// The name of this writer's folder: its description, with all but letters, digits, `.` and `-` as `%` and two
    /// hexadecimal digits.
    var folderName: String {
        description.utf8.map { byte in
            Self.isPlain(byte) ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    /// Parses a `folderName`; `nil` if it is not one.
    init?(folderName: String) {
        var bytes: [UInt8] = []
        var rest = Array(folderName.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let description = String(validating: bytes, as: UTF8.self), let writer = LedgerWriter(description),
            writer.folderName == folderName
        else { return nil }
        self = writer
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
