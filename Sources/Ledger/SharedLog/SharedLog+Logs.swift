// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Glibc

extension SharedLog {
    /// Maximum number of writers in an unsigned ledger, which has no roster.
    private static let unsignedWriters = 10_000

    /// Returns the logs that hold a stream's records: one for each member in the roster that has written to the stream,
    /// and the one that all hosts shared in earlier versions.
    ///
    /// Files of unknown and removed writers are not read at all, whatever they contain.
    static func logs(
        of stream: LedgerStream,
        in folder: String,
        trust: LedgerTrust
    ) throws(LedgerError) -> [LedgerLog] {
        guard stream == .load else { return [LedgerLog(stream)] }
        let shared = SegmentFiles(folder: folder, stream: stream)
        var logs = try shared.numbers().isEmpty ? [] : [shared.log]
        let names = Set(try FolderListing.names(in: shared.writersFolder) ?? [])
        let writers: [LedgerWriter]
        if let members = trust.writingMembers {
            writers = members.filter { names.contains($0.folderName) }
        } else {
            writers = Array(names.sorted().lazy.compactMap { LedgerWriter(folderName: $0) }.prefix(unsignedWriters))
        }
        logs += writers.sorted { $0.description < $1.description }.map { LedgerLog(stream, of: $0) }
        return logs
    }
}
