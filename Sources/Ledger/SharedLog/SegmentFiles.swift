// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The files of one log in the ledger's folder.
///
///     orders.lock  orders.000001.jsonl  orders.000002.jsonl  …
///     load/host%3ah1/000001.jsonl  load/host%3ah1/000002.jsonl  …
struct SegmentFiles: Sendable {
    /// The ledger's folder.
    let ledger: String
    let log: LedgerLog
    /// Where crowded folders are recorded.
    private let crowded: CrowdedFolders?

    init(ledger: String, log: LedgerLog, crowded: CrowdedFolders? = nil) {
        self.ledger = ledger
        self.log = log
        self.crowded = crowded
    }

    /// The files of the log that all writers of a stream share.
    init(folder: String, stream: LedgerStream, crowded: CrowdedFolders? = nil) {
        self.init(ledger: folder, log: LedgerLog(stream), crowded: crowded)
    }

    /// The folder of the folders of one writer each.
    var writersFolder: String { "\(ledger)/\(log.stream.rawValue)" }

    /// The folder of the segments.
    var folder: String { log.writer.map { "\(writersFolder)/\($0.folderName)" } ?? ledger }

    /// The lock of a shared log.
    var lockPath: String { "\(ledger)/\(log.stream.rawValue).lock" }

    private var prefix: String { log.writer == nil ? "\(log.stream.rawValue)." : "" }

    /// The highest number of a segment; `LineDraft` assumes that no number has more digits.
    static let highestNumber = 999_999_999
    /// A file whose number is further than this from all others is not a segment that a writer made: it must not lead
    /// readers and writers away from their segments.
    private static let widestHole = 1000

    func path(_ number: Int) -> String {
        let text = String(number)
        let zeros = String(repeating: "0", count: max(0, 6 - text.count))
        return "\(folder)/\(prefix)\(zeros)\(text).jsonl"
    }

    /// Returns the numbers of the existing segments, in order.
    ///
    /// In a crowded folder, the segments of a shared log are found from the active one, which its lock file names.
    func numbers() throws(LedgerError) -> [Int] {
        guard log.writer == nil else {
            let names = try FolderListing.names(in: folder) ?? []
            return try numbers(ofFiles: names)
        }
        // The administrator may have made the ledger's folder a link.
        guard let listing = try FolderListing.some(in: ledger, followsLinks: true) else {
            throw .notALedger(path: ledger, reason: "it does not exist")
        }
        crowded?.note(ledger, isCrowded: !listing.isWhole)
        guard !listing.isWhole else { return try numbers(ofFiles: listing.names) }
        let found = try WriteLock.activeSegment(in: self).map { existing(around: $0) } ?? []
        // Some of the names are not the whole log: a segment must not be begun again beside those that were not listed.
        guard !found.isEmpty else { throw FolderListing.crowded(ledger) }
        return found
    }

    private func numbers(ofFiles names: [String]) throws(LedgerError) -> [Int] {
        let numbers = names.compactMap { number(ofFile: $0) }.sorted()
        if numbers.isEmpty { try requireLedger() }
        return Self.largestCluster(numbers)
    }

    /// Returns the existing segments without a hole before or after `active`, and `active` itself if it exists.
    ///
    /// Retention removes the oldest first, so a log has no holes.
    private func existing(around active: Int) -> [Int] {
        let lowest = max(1, active - FolderListing.maximum)
        let highest = min(Self.highestNumber, active + FolderListing.maximum)
        // A writer that is creating the active segment has named it first.
        let before = stride(from: active - 1, through: lowest, by: -1).prefix { exists($0) }
        let after = (active...highest).prefix { exists($0) }
        return before.reversed() + Array(after)
    }

    /// Returns the numbers without those that are far from most others.
    private static func largestCluster(_ numbers: [Int]) -> [Int] {
        var clusters: [[Int]] = []
        for number in numbers {
            if let last = clusters.last?.last, number - last <= widestHole {
                clusters[clusters.count - 1].append(number)
            } else {
                clusters.append([number])
            }
        }
        var largest: [Int] = []
        for cluster in clusters where cluster.count > largest.count { largest = cluster }
        return largest
    }

    private func number(ofFile name: String) -> Int? {
        guard name.hasPrefix(prefix), name.hasSuffix(".jsonl") else { return nil }
        let digits = name.dropFirst(prefix.count).dropLast(".jsonl".count)
        guard (6...9).contains(digits.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = Int(digits), number > 0, number <= Self.highestNumber
        else { return nil }
        return number
    }

    func exists(_ number: Int) -> Bool { access(path(number), F_OK) == 0 }

    /// Creates the folder of a writer's own log if it is missing.
    func makeFolder() throws(LedgerError) {
        guard log.writer != nil else { return }
        if access(folder, F_OK) != 0 { try requireLedger() }
        try LedgerFolder.make(writersFolder, in: ledger)
        try LedgerFolder.make(folder, in: writersFolder)
    }

    /// Makes new file names in the folder durable.
    func syncFolder() throws(LedgerError) { try LedgerFolder.sync(folder) }

    /// Throws unless `SharedLog.create` created the folder, so that nothing is written into the empty mount point of
    /// a missing shared storage.
    func requireLedger() throws(LedgerError) {
        if access("\(ledger)/\(SharedLog.markerName)", F_OK) == 0 { return }
        let code = errno
        guard code == ENOENT || code == ENOTDIR else { throw .system("examine", ledger, code: code) }
        let exists = access(ledger, F_OK) == 0
        let reason = exists ? "\(SharedLog.markerName) is missing in it" : "it does not exist"
        throw .notALedger(path: ledger, reason: reason)
    }
}
