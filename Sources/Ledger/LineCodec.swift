// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import FoundationEssentials

/// Records to lines and back: the only place that knows what a line looks like.
///
///     {"v":1,"kind":"load","writer":"host:h1","at":1753182000123,"body":{…}}\n
///
/// The fields come in this order, with nothing between them. A signature will be one more field, the last one: the
/// closing brace gives way to `,"signature":"BASE64"}`. Its length and place are known from the line's end alone, so
/// a reader cuts it off, puts the brace back, and has the very bytes that were signed; it verifies those and decodes
/// those, and no JSON has to be written again in the same way. Readers of today pass over the field.
enum LineCodec {
    static let version = 1
    static let newline = UInt8(ascii: "\n")
    /// Ends a line whose writer was stopped in the middle: ASCII CAN, "disregard what came before".
    ///
    /// JSON never contains it (control characters are escaped), so no record looks torn, and a line that lacks only
    /// its last byte does not turn into a record by being closed.
    static let tornMark: UInt8 = 0x18

    /// The line for one record, newline included.
    static func encode<Entry: LedgerEntry>(
        _ record: LedgerRecord<Entry>,
        limit: Int
    ) throws(LedgerError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var line: [UInt8] = Array(#"{"v":\#(version),"kind":"\#(Entry.stream.rawValue)","writer":"#.utf8)
        do {
            line += try encoder.encode(record.writer)
            line += Array(#","at":\#(record.at.milliseconds),"body":"#.utf8)
            line += try encoder.encode(record.body)
        } catch {
            throw .unencodable(stream: Entry.stream, reason: Self.reason(error))
        }
        line += [UInt8(ascii: "}"), newline]
        guard line.count <= limit else {
            throw .recordTooLarge(stream: Entry.stream, bytes: line.count, limit: limit)
        }
        return line
    }

    /// The record in a line without its newline, or why it is none.
    static func decode<Entry: LedgerEntry>(
        _ line: some Sequence<UInt8>,
        as entries: Entry.Type
    ) -> Result<LedgerRecord<Entry>, Unreadable> {
        let bytes = Data(line)
        if bytes.last == tornMark { return .failure(Unreadable(reason: .torn)) }
        do {
            let envelope = try JSONDecoder().decode(Envelope<Entry>.self, from: bytes)
            return .success(envelope.record)
        } catch let unreadable as Unreadable {
            return .failure(unreadable)
        } catch {
            return .failure(Unreadable(reason: .unreadable(reason(error))))
        }
    }

    struct Unreadable: Error {
        var reason: SkippedLine.Reason
    }

    /// What a coding error says, without its type and without the data.
    private static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "the field '\(key.stringValue)' is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "the field '\(path(context.codingPath))' has another type"
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

/// The outer object of a line.
private struct Envelope<Entry: LedgerEntry>: Decodable {
    let record: LedgerRecord<Entry>

    enum Field: String, CodingKey { case v, kind, writer, at, body }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Field.self)
        let version = try fields.decode(Int.self, forKey: .v)
        guard version == LineCodec.version else { throw LineCodec.Unreadable(reason: .unknownVersion(version)) }
        let kind = try fields.decode(String.self, forKey: .kind)
        guard kind == Entry.stream.rawValue else {
            throw LineCodec.Unreadable(reason: .unreadable("its kind is '\(kind)', not '\(Entry.stream.rawValue)'"))
        }
        record = LedgerRecord(
            writer: try fields.decode(LedgerWriter.self, forKey: .writer),
            at: try fields.decode(Instant.self, forKey: .at),
            body: try fields.decode(Entry.self, forKey: .body)
        )
    }
}
