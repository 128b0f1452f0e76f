// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Columns of text, each as wide as its widest cell; the last may run on.
///
/// Cells may hold text from any member: unprintable characters are escaped, and long texts are cut.
package struct TextTable {
    private static let cellLimit = 120
    private static let lastCellLimit = 1000

    var header: [String]
    var rows: [[String]]
    var empty: String

    package init(_ header: [String], _ rows: [[String]], empty: String) {
        self.header = header
        self.rows = rows
        self.empty = empty
    }

    package var text: String {
        guard !rows.isEmpty else { return empty }
        let all =
            [header]
            + rows.map { row in
                row.enumerated().map { $1.plainText(limit: $0 == row.count - 1 ? Self.lastCellLimit : Self.cellLimit) }
            }
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            row.indices.map { column in
                column == row.count - 1
                    ? row[column]
                    : row[column] + String(repeating: " ", count: widths[column] - row[column].count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
