// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A log file that receives lines during a run.
final class LogFile: Sendable {
    private let handle: Mutex<FileHandle>

    init(_ path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw FleetInputError(file: path, problem: "cannot be written") }
        self.handle = Mutex(handle)
    }

    /// A full disk truncates the log but does not end the run.
    func write(_ line: String) {
        handle.withLock { try? $0.write(contentsOf: Data((line + "\n").utf8)) }
    }
}
