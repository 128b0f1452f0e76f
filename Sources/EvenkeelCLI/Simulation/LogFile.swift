// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A file of lines, written as they come.
final class LogFile: Sendable {
    private let handle: Mutex<FileHandle>

    init(_ path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw FleetInputError(file: path, problem: "cannot be written") }
        self.handle = Mutex(handle)
    }

    /// A full disk does not end a run: the log is cut short then.
    func write(_ line: String) {
        handle.withLock { try? $0.write(contentsOf: Data((line + "\n").utf8)) }
    }
}
