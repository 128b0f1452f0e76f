// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The text for a terminal or a log: on one line, without anything that moves a cursor or turns the writing around.
    ///
    /// Names, reasons and lines in the ledger are in the words of whoever wrote them. What is not printable is shown as
    /// `\u{1B}`; what is longer than `limit` characters is cut, with `…` in its place.
    public func plainText(limit: Int = 1000) -> String {
        var shown = ""
        for scalar in unicodeScalars.prefix(limit) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                shown += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        guard shown.count > limit || unicodeScalars.count > limit else { return shown }
        return shown.prefix(max(0, limit - 1)) + "…"
    }
}
