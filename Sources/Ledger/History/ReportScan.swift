// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Synchronization

/// Notes what the lines of reports claim, and the positions of the first and the last report of progress that the source
/// of each order has written.
///
/// Anyone who can write to the storage can forge a line that claims to be progress: only verified lines count. Lines of
/// other orders than the given ones are ignored, so that a flood does not fill the memory.
final class ReportScan: Sendable {
    private let sources: [String: LedgerWriter]
    private let spans = Mutex<[String: ClosedRange<Cursor>]>([:])
    private let noted: Mutex<ReportClaims>

    /// `since`: progress of orders from before this is left out, as far as is known yet.
    init(of orders: [MigrationOrder], _ history: LedgerHistory, since: Instant?) {
        let needed = orders.filter { order in
            // The newest order of each VM of this host is needed, however old.
            history.concerns(order) && (history.host != nil || since.map { order.issuedAt >= $0 } ?? true)
        }
        let pairs = needed.map { ($0.id.rawValue, LedgerWriter.host($0.source)) }
        sources = Dictionary(pairs, uniquingKeysWith: { first, _ in first })
        // An agent needs its own orders for as long as it searches.
        noted = Mutex(ReportClaims(of: orders, searchable: history.host == nil))
    }

    /// The positions so far, by order.
    var progress: [String: ClosedRange<Cursor>] { spans.withLock { $0 } }

    /// What the lines so far have claimed.
    var claims: ReportClaims { noted.withLock { $0 } }

    /// Chooses the ends of orders and the searches after failures, and notes the rest.
    var selection: LineSelection {
        LineSelection(verifying: { [self] lines, author in
            var progress: [(order: String, line: RawBatch.Line)] = []
            let chosen = noted.withLock { noted in
                lines.filter { line in
                    guard let (order, step) = LineGlimpse.report(line.bytes) else { return true }
                    if step == "running", sources[order] != nil { progress.append((order, line)) }
                    return noted.note(order, step)
                }
            }
            note(progress, author)
            return chosen
        })
    }

    /// Notes a record of which no line was seen: a ledger may ignore the selection, and lines can have another form.
    func note(_ report: OrderReport) { noted.withLock { $0.note(report) } }

    /// Verifies one or two lines of each order, and more only if some are forged.
    private func note(_ progress: [(order: String, line: RawBatch.Line)], _ author: LineSelection.Author) {
        var known = spans.withLock { $0 }
        for (order, line) in progress where known[order] == nil && author(line) == sources[order] {
            known[order] = line.at...line.at
        }
        var hasLast: Set<String> = []
        for (order, line) in progress.reversed() where !hasLast.contains(order) {
            guard let span = known[order] else { continue }
            guard line.at > span.upperBound else {
                hasLast.insert(order)
                continue
            }
            guard author(line) == sources[order] else { continue }
            known[order] = span.lowerBound...line.at
            hasLast.insert(order)
        }
        // Batches are read one after the other.
        spans.withLock { $0 = known }
    }
}
