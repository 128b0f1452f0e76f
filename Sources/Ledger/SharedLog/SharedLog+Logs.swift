// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Glibc

extension SharedLog {
    /// Returns the logs that hold a stream's records: one for each member in the roster that has written to the stream,
    /// and the one that all hosts shared in earlier versions.
    ///
    /// Files of unknown and removed writers are not read at all, whatever they contain. In a crowded folder, members
    /// are looked up one by one; without a roster, some writers are missing.
    static func logs(
        of stream: LedgerStream,
        in folder: String,
        trust: LedgerTrust,
        crowded: CrowdedFolders
    ) throws(LedgerError) -> [LedgerLog] {
        guard stream == .load else { return [LedgerLog(stream)] }
        let shared = SegmentFiles(folder: folder, stream: stream, crowded: crowded)
        var logs = try shared.numbers().isEmpty ? [] : [shared.log]
        let members = trust.writingMembers
        let maximum = FolderListing.maximum + (members?.count ?? 0)
        let listing = try FolderListing.some(in: shared.writersFolder, atMost: maximum) ?? ([], true)
        crowded.note(shared.writersFolder, isCrowded: !listing.isWhole)
        let names = Set(listing.names)
        let writers: [LedgerWriter]
        if let members {
            writers = members.filter { writer in
                names.contains(writer.folderName)
                    || (!listing.isWhole && FolderListing.contains("\(shared.writersFolder)/\(writer.folderName)"))
            }
        } else {
            writers = names.sorted().compactMap { LedgerWriter(folderName: $0) }
        }
        logs += writers.sorted { $0.description < $1.description }.map { LedgerLog(stream, of: $0) }
        return logs
    }
}
