// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Makes whole samples of the lines of one log that state only what has changed.
///
/// A line whose basis cannot be read, or is not the line that it names, yields no sample: never a mixture.
struct SampleExpansion {
    private let reader: LineReader
    /// Returns the line at a position before the second one; `nil` if there is none.
    private let find: (Cursor, Cursor) throws(LedgerError) -> RawBatch.Line?
    /// The last basis that was read.
    private(set) var basis: SampleBasis?

    init(
        reader: LineReader,
        basis: SampleBasis?,
        find: @escaping (Cursor, Cursor) throws(LedgerError) -> RawBatch.Line?
    ) {
        // A basis counts whatever its time: the line that rests on it has a time of its own.
        var reader = reader
        reader.reader = reader.log.writer ?? reader.reader
        self.reader = reader
        self.basis = basis
        self.find = find
    }

    /// Notes a valid whole record.
    mutating func note<Entry: LedgerEntry>(_ entry: Entry, of line: RawBatch.Line) {
        guard reader.log.writer != nil, let sample = entry as? LoadSample, line.length <= SampleBasis.longestLine else {
            return
        }
        basis = SampleBasis(sample, LedgerMark(at: line.at, line: line.bytes), bytes: line.length)
    }

    /// Returns the whole sample of a verified line; `nil` without its basis.
    mutating func sample(_ body: ChangeBody, at place: Cursor) throws(LedgerError) -> LoadSample? {
        let named = Cursor(segment: place.segment, offset: body.basis.offset)
        guard reader.log.writer != nil, named.offset >= 0, named < place else { return nil }
        if basis?.at != named || basis?.digest != body.basis.digest {
            guard let line = try find(named, place), line.length <= SampleBasis.longestLine else { return nil }
            guard case .success(let record) = reader.read(line, as: LoadSample.self),
                case .whole(let sample) = record.body
            else { return nil }
            note(sample, of: line)
        }
        guard let basis, basis.at == named, basis.digest == body.basis.digest else { return nil }
        return body.change.applied(to: basis.sample)
    }
}
