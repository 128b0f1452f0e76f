// SPDX-License-Identifier: Apache-2.0
import Ledger

/// What was passed over in the ledger, as a table.
struct LedgerTally {
    let entries: [LedgerRemarks.Entry]

    init(_ entries: [LedgerRemarks.Entry]) { self.entries = entries }

    var text: String {
        TextTable(
            ["NOT COUNTED", "STREAM", "WRITER", "LINES", "THE FIRST"],
            entries.map { entry in
                [
                    entry.kind.isRefusal ? "refused: \(entry.kind.rawValue)" : entry.kind.rawValue,
                    entry.stream.rawValue,
                    entry.writer?.description ?? "-",
                    String(entry.count),
                    entry.example,
                ]
            },
            empty: "Every line counts."
        ).text
    }
}
