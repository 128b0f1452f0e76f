// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Prints a line on standard output, without buffering.
///
/// A broken pipe does not stop the program: a lab must still be taken down.
package func printLine(_ line: String) { try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8)) }

package func printError(_ line: String) { try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8)) }

/// Whether the output goes to a terminal.
package var standardOutputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

/// A part of the screen that is redrawn; omitted on a pipe.
package struct LiveView {
    private var lastLines = 0
    private let isOn = standardOutputIsTerminal

    package init() {}

    /// Draws the text over the previous one.
    package mutating func draw(_ text: String) {
        guard isOn else { return }
        erase()
        printLine(text)
        lastLines = text.split(separator: "\n", omittingEmptySubsequences: false).count
    }

    /// Prints a line that stays, above the live part.
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
