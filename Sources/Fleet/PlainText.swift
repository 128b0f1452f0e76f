// SPDX-License-Identifier: Apache-2.0

extension String {
    /// Returns the text for a terminal or a log: one line, without cursor movement or changes of text direction.
    ///
    /// Names, reasons and ledger lines contain whatever their writer put there. Characters that are not printable are
    /// shown as `\u{1B}`. Text longer than `limit` characters is cut and ends in `…`.
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
