// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A line on standard output, there at once also in a pipe.
///
/// A pipe whose reader has gone is no reason to stop: a lab must still be taken down.
package func printLine(_ line: String) { try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8)) }

package func printError(_ line: String) { try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8)) }

/// Whether a person watches.
package var standardOutputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

/// A part of the screen that is drawn again and again; on a pipe it is left out.
package struct LiveView {
    private var lastLines = 0
    private let isOn = standardOutputIsTerminal

    package init() {}

    /// Draws the text over what was drawn before.
    package mutating func draw(_ text: String) {
        guard isOn else { return }
        erase()
        printLine(text)
        lastLines = text.split(separator: "\n", omittingEmptySubsequences: false).count
    }

    /// A line that stays, above the live part.
    package mutating func keep(_ line: String) {
        erase()
        printLine(line)
    }

    private mutating func erase() {
        guard isOn, lastLines > 0 else { return }
        // Up by the lines drawn, then clear to the end of the screen.
        try? FileHandle.standardOutput.write(contentsOf: Data("\u{1b}[\(lastLines)A\u{1b}[J".utf8))
        lastLines = 0
    }
}
