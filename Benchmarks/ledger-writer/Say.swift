// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Writes a line to standard output at once, in one piece, so that a kill cannot hold it back in a buffer.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
