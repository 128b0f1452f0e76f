// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// The last append of each stream that has written its line, but was not confirmed to its writer.
///
/// The storage may have answered after the time limit, or this host could not save its mark. The writer tries again, and
/// the line must not be written twice. An append whose sync failed does not count: its line may not be durable.
final class UnconfirmedAppends: Sendable {
    private struct Append {
        var entry: [UInt8]
        var mark: LedgerMark
    }

    private let last = Mutex<[LedgerStream: Append]>([:])

    /// Returns the mark of the line that an unconfirmed append of this encoded entry has written, if there is one.
    func mark(of entry: [UInt8], in stream: LedgerStream) -> LedgerMark? {
        last.withLock { last in
            guard let append = last[stream], append.entry == entry else { return nil }
            return append.mark
        }
    }

    /// Records that the line is durable in the log.
    func written(_ entry: [UInt8], _ mark: LedgerMark, in stream: LedgerStream) {
        last.withLock { $0[stream] = Append(entry: entry, mark: mark) }
    }

    /// Records that the writer knows of the line.
    func confirmed(_ mark: LedgerMark, in stream: LedgerStream) {
        last.withLock { if $0[stream]?.mark == mark { $0[stream] = nil } }
    }
}
