// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The text with the reserved characters of XML and HTML escaped, for the content of an element.
    package var escapedForMarkup: String {
        replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
