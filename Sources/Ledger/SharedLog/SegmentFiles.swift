// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The files of one stream in the ledger's folder.
///
///     load.lock  load.000001.jsonl  load.000002.jsonl  …
struct SegmentFiles: Sendable {
    let folder: String
    let stream: LedgerStream

    var lockPath: String { "\(folder)/\(stream.rawValue).lock" }

    func path(_ number: Int) -> String {
        let text = String(number)
        let zeros = String(repeating: "0", count: max(0, 6 - text.count))
        return "\(folder)/\(stream.rawValue).\(zeros)\(text).jsonl"
    }

    /// Returns the numbers of the existing segments, in order.
    func numbers() throws(LedgerError) -> [Int] {
        guard let directory = opendir(folder) else {
            if errno == ENOENT { throw .notALedger(path: folder, reason: "it does not exist") }
            throw .system("list", folder, code: errno)
        }
        defer { closedir(directory) }
        var numbers: [Int] = []
        errno = 0
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let number = number(ofFile: name) { numbers.append(number) }
            errno = 0
        }
        guard errno == 0 else { throw .system("list", folder, code: errno) }
        if numbers.isEmpty { try requireLedger() }
        return numbers.sorted()
    }

    private func number(ofFile name: String) -> Int? {
        let prefix = "\(stream.rawValue)."
        guard name.hasPrefix(prefix), name.hasSuffix(".jsonl") else { return nil }
        let digits = name.dropFirst(prefix.count).dropLast(".jsonl".count)
        guard digits.count >= 6, digits.allSatisfy({ ("0"..."9").contains($0) }), let number = Int(digits), number > 0
        else { return nil }
        return number
    }

    func exists(_ number: Int) -> Bool { access(path(number), F_OK) == 0 }

    /// Removes all segments before `number`.
    ///
    /// Errors are ignored: the next rotation tries again, and must not fail the current append.
    func removeSegments(before number: Int) throws(LedgerError) {
        for old in try numbers() where old < number { unlink(path(old)) }
    }

    /// Makes new file names in the folder durable.
    func syncFolder() throws(LedgerError) {
        guard let directory = try OpenFile.open(folder, flags: O_RDONLY | O_DIRECTORY) else {
            throw .notALedger(path: folder, reason: "it does not exist")
        }
        // Some file systems cannot sync a folder and return EINVAL; they write names at once.
        guard fsync(directory.descriptor) == 0 || errno == EINVAL else {
            throw .system("sync", folder, code: errno)
        }
    }

    /// Throws unless `SharedLog.create` created the folder, so that nothing is written into the empty mount point of
    /// a missing shared storage.
    func requireLedger() throws(LedgerError) {
        if access("\(folder)/\(SharedLog.markerName)", F_OK) == 0 { return }
        let code = errno
        guard code == ENOENT || code == ENOTDIR else { throw .system("examine", folder, code: code) }
        let exists = access(folder, F_OK) == 0
        let reason = exists ? "\(SharedLog.markerName) is missing in it" : "it does not exist"
        throw .notALedger(path: folder, reason: reason)
    }
}
