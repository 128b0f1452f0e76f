// SPDX-License-Identifier: Apache-2.0

/// Chooses the lines of a batch that a reader needs, before they are verified and decoded, which takes most of the time.
///
/// It sees what lines claim, so it may only leave out what the reader does not need whatever the truth is.
public struct LineSelection: Sendable {
    /// Returns the writer of a line that is a record, or will be one once the reader's clock has reached its time.
    typealias Author = (RawBatch.Line) -> LedgerWriter?

    let choose: @Sendable ([RawBatch.Line], Author) -> [RawBatch.Line]

    init(_ choose: @escaping @Sendable ([RawBatch.Line]) -> [RawBatch.Line]) {
        self.choose = { lines, _ in choose(lines) }
    }

    /// A selection that verifies the writers of a few lines, which takes about 0.1 ms each.
    init(verifying choose: @escaping @Sendable ([RawBatch.Line], Author) -> [RawBatch.Line]) { self.choose = choose }
}

extension LineSelection {
    /// The lines up to a position.
    static func only(upTo last: Cursor) -> LineSelection { LineSelection { $0.filter { $0.at <= last } } }
}

extension RawBatch {
    /// Returns the batch with the chosen lines only; without a selection, with all of them.
    func selecting(_ selection: LineSelection?, by reader: LineReader) -> RawBatch {
        guard let selection else { return self }
        var batch = self
        batch.lines = selection.choose(lines) { reader.author(of: $0) }
        return batch
    }
}
