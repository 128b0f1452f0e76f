// SPDX-License-Identifier: Apache-2.0

/// Chooses the lines of a batch that a reader needs, before they are verified and decoded, which takes most of the time.
///
/// It sees what lines claim, so it may only leave out what the reader does not need whatever the truth is.
public struct LineSelection: Sendable {
    let choose: @Sendable ([RawBatch.Line]) -> [RawBatch.Line]

    init(_ choose: @escaping @Sendable ([RawBatch.Line]) -> [RawBatch.Line]) { self.choose = choose }
}

extension RawBatch {
    /// Returns the batch with the chosen lines only; without a selection, with all of them.
    func selecting(_ selection: LineSelection?) -> RawBatch {
        guard let selection else { return self }
        var batch = self
        batch.lines = selection.choose(lines)
        return batch
    }
}
