// SPDX-License-Identifier: Apache-2.0
import Ledger

/// The lines that readers rejected, as a table.
struct LedgerTally {
    let entries: [LedgerRemarks.Entry]

    init(_ entries: [LedgerRemarks.Entry]) { self.entries = entries }

    var text: String {
        TextTable(
            ["REJECTED", "STREAM", "WRITER", "LINES", "FIRST EXAMPLE"],
            entries.map { entry in
                [
                    entry.kind.text,
                    entry.stream.rawValue,
                    entry.writer?.description ?? "-",
                    String(entry.count),
                    entry.example,
                ]
            },
            empty: "No lines rejected."
        ).text
    }
}

extension LedgerRemarks.Kind {
    fileprivate var text: String {
        switch self {
        case .torn: "incomplete"
        case .lost: "lost"
        case .tooLong: "too long"
        case .unknownVersion: "unknown version"
        case .notUnderstood: "not understood"
        case .withoutBasis: "without basis"
        case .unreadable: "unreadable"
        case .gap: "gap"
        case .unusable: "unusable file"
        case .unsigned: "unsigned"
        case .unknownWriter: "unknown writer"
        case .wrongSigner: "wrong signer"
        case .altered: "altered"
        case .wrongPlace: "wrong position"
        case .otherLedger: "other ledger"
        case .revoked: "writer revoked"
        case .notForWriter: "wrong writer"
        case .fromTheFuture: "from the future"
        }
    }
}
