// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import FoundationEssentials

/// Encodes and decodes records as lines; `SignedLine` defines the format of a signed line.
///
///     {"v":1,"kind":"load","writer":"host:h1","at":1753182000123,"body":{…}}\n
enum LineCodec {
    static let unsignedVersion = 1
    static let signedVersion = 2
    static let newline = UInt8(ascii: "\n")
    /// Ends a line whose writer stopped before the line was complete: ASCII CAN, "disregard what came before".
    ///
    /// JSON escapes control characters, so no record contains it. It also keeps a line that lacks only its last byte
    /// from becoming a record when it is closed.
    static let tornMark: UInt8 = 0x18

    /// Returns the line of one record without its position; unsigned without a `signer`.
    ///
    /// A sample states only what has changed since `basis` if that is shorter.
    static func draft<Entry: LedgerEntry>(
        _ record: LedgerRecord<Entry>,
        signer: LineSigner?,
        limit: Int,
        since basis: SampleBasis? = nil
    ) throws(LedgerError) -> LineDraft {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let version = signer == nil ? unsignedVersion : signedVersion
        var head: [UInt8] = Array(#"{"v":\#(version),"kind":"\#(Entry.stream.rawValue)","writer":"#.utf8)
        let body: [UInt8]
        var change: LineDraft.Change?
        do {
            head += try encoder.encode(record.writer)
            body = Array(try encoder.encode(record.body))
            if let basis, let sample = record.body as? LoadSample, let changed = basis.change(to: sample) {
                change = LineDraft.Change(body: Array(try encoder.encode(changed)), basis: basis.at)
            }
        } catch {
            throw .unencodable(stream: Entry.stream, reason: Self.reason(error))
        }
        head += Array(#","at":\#(record.at.milliseconds)"#.utf8)
        if let shorter = change, shorter.body.count >= body.count { change = nil }
        let draft = LineDraft(head: head, body: body, change: change, signer: signer)
        guard draft.maximumBytes <= limit else {
            throw .recordTooLarge(stream: Entry.stream, bytes: draft.maximumBytes, limit: limit)
        }
        return draft
    }

    /// Returns the record of an unsigned line that has no newline.
    static func unsignedRecord<Entry: LedgerEntry>(
        _ bytes: [UInt8],
        as entries: Entry.Type
    ) throws(Unreadable) -> ReadRecord<Entry> {
        try decode(Envelope<Entry>.self, from: bytes[...]).record
    }

    /// Returns the version and the writer of an unsigned line without its body.
    static func label(_ bytes: [UInt8]) throws(Unreadable) -> Label { try decode(Label.self, from: bytes[...]) }

    static func decode<Value: Decodable>(
        _ type: Value.Type,
        from bytes: ArraySlice<UInt8>
    ) throws(Unreadable) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let unreadable as Unreadable {
            throw unreadable
        } catch {
            throw Unreadable(reason: .unreadable(reason(error)))
        }
    }

    /// Decodes the body of a genuine line: JSON that this version cannot decode is another version's.
    static func decodeBody<Entry: LedgerEntry>(
        _ type: Entry.Type,
        from bytes: ArraySlice<UInt8>
    ) throws(Unreadable) -> LineBody<Entry> {
        do { return try decode(LineBody<Entry>.self, from: bytes) } catch {
            guard case .unreadable(let reason) = error.reason, (try? decode(Anything.self, from: bytes)) != nil else {
                throw error
            }
            throw Unreadable(reason: .notUnderstood("its content (\(reason))"))
        }
    }

    /// Any JSON.
    private struct Anything: Decodable {
        init(from decoder: any Decoder) {}
    }

    struct Unreadable: Error {
        var reason: SkippedLine.Reason
    }

    struct Label: Decodable {
        var v: Int
        var writer: LedgerWriter?
    }

    /// Returns the text of a coding error, without its type and without the data.
    fileprivate static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "the field '\(key.stringValue)' is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "the field '\(path(context.codingPath))' has the wrong type"
        case DecodingError.dataCorrupted(let context): context.debugDescription
        case EncodingError.invalidValue(let value, let context):
            "the field '\(path(context.codingPath))' cannot be \(value)"
        default: String(describing: error)
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map(\.stringValue).joined(separator: ".")
    }
}

/// The outer JSON object of an unsigned line.
private struct Envelope<Entry: LedgerEntry>: Decodable {
    let record: ReadRecord<Entry>

    enum Field: String, CodingKey { case v, kind, writer, at, body }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Field.self)
        let version = try fields.decode(Int.self, forKey: .v)
        guard version == LineCodec.unsignedVersion else {
            throw LineCodec.Unreadable(reason: .unknownVersion(version))
        }
        let kind = try fields.decode(String.self, forKey: .kind)
        guard kind == Entry.stream.rawValue else {
            throw LineCodec.Unreadable(
                reason: .unreadable("its kind is '\(kind.plainText(limit: 80))', not '\(Entry.stream.rawValue)'")
            )
        }
        let writer = try fields.decode(LedgerWriter.self, forKey: .writer)
        let at = try fields.decode(Instant.self, forKey: .at)
        let body: LineBody<Entry>
        do { body = try fields.decode(LineBody<Entry>.self, forKey: .body) } catch {
            guard fields.contains(.body) else { throw error }
            throw LineCodec.Unreadable(reason: .notUnderstood("its content (\(LineCodec.reason(error)))"))
        }
        record = ReadRecord(writer: writer, at: at, body: body)
    }
}
