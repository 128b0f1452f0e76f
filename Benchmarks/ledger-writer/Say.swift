// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Writes a line to standard output without buffering, so that no line is lost if the process is killed.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
