// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Acquires the lock, prints `held`, and holds the lock until standard input ends.
func holdLock(on path: String) throws {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
    var request = flock()
    request.l_type = Int16(F_WRLCK)
    request.l_whence = Int16(SEEK_SET)
    let setLockAndWait: Int32 = 38  // F_OFD_SETLKW
    let result = withUnsafeMutablePointer(to: &request) {
        fcntl(descriptor, setLockAndWait, UnsafeMutableRawPointer($0))
    }
    guard result == 0 else { throw CocoaError(.fileLocking) }
    say("held")
    while readLine() != nil {}
    close(descriptor)
}
