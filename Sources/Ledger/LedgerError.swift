// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Glibc

/// An error of writing or reading the ledger: what failed, on what, and the next step.
public enum LedgerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The folder is missing, or `SharedLog.create` did not create it.
    case notALedger(path: String, reason: String)
    case notPermitted(operation: String, path: String, reason: String)
    /// The folder is mounted with a version of NFS that lacks what the ledger needs.
    case unsuitableNFS(path: String, version: String)
    /// Another writer held the lock for the whole time limit.
    case lockTimedOut(path: String, waited: Duration)
    /// The file system does not support these locks, or its lock service does not answer.
    case lockUnavailable(path: String, reason: String)
    case storageFull(path: String)
    case recordTooLarge(stream: LedgerStream, bytes: Int, limit: Int)
    /// The entry cannot be encoded as JSON, for instance because a value is not a finite number.
    case unencodable(stream: LedgerStream, reason: String)
    /// The log does not contain the position from which the reader wants to continue.
    case cursorNotInLog(path: String, cursor: Cursor, reason: String)
    /// The log lacks records that this host has read or written.
    case rolledBack(path: String, reason: String, mayBeWritten: Bool = false)
    /// Readers would reject what this writer signs.
    case notAMember(LedgerWriter, reason: String)
    /// The ledger was created before records were signed.
    case withoutIdentity(path: String)
    /// The record is in the ledger and durable, but this host's mark of it is not.
    case markNotSaved(path: String, reason: String)
    /// The storage did not answer.
    case stalled(path: String, waited: Duration, mayBeWritten: Bool)
    case failed(operation: String, path: String, reason: String, mayBeWritten: Bool)

    /// Whether readers may find the record even though the append was not confirmed.
    public var mayBeWritten: Bool {
        switch self {
        case .stalled(_, _, let mayBeWritten), .failed(_, _, _, let mayBeWritten),
            .rolledBack(_, _, let mayBeWritten):
            mayBeWritten
        case .markNotSaved: true
        default: false
        }
    }

    /// Whether writing the same record again can never succeed.
    public var isPermanent: Bool {
        switch self {
        case .recordTooLarge, .unencodable: true
        default: false
        }
    }

    /// Whether the error may be that of one file, as opposed to one of the storage.
    public var isOfOneFile: Bool {
        switch self {
        case .failed, .notPermitted: true
        default: false
        }
    }

    public var description: String {
        switch self {
        case .notALedger(let path, let reason):
            "\(path) is not a ledger folder: \(reason). Check that the shared storage is mounted, or create the ledger."
        case .notPermitted(let operation, let path, let reason):
            "cannot \(operation) \(path): \(reason). Agents and controllers must run as the owner of the ledger's "
                + "folder, and its file system must be mounted read-write. An NFS export needs no_root_squash."
        case .unsuitableNFS(let path, let version):
            "\(path) is mounted with NFS version \(version), whose locks can be lost without notice. Nothing was read or written. "
                + "Mount it with vers=4.1 or later on every host."
        case .lockTimedOut(let path, let waited):
            "cannot lock \(path) within \(waited.text): another writer holds the lock. Find it with lslocks on every host "
                + "that mounts the folder. If a host crashed or is cut off, an NFS server keeps its locks until its lease "
                + "ends (90 s by default)."
        case .lockUnavailable(let path, let reason):
            "cannot lock \(path): \(reason). The file system must support POSIX locks across hosts."
        case .storageFull(let path):
            "cannot write \(path): no space left, nothing was written. Free some space, or keep "
                + "less (ledger.retention.load, .orders and .reports)."
        case .recordTooLarge(let stream, let bytes, let limit):
            "cannot write a record to \(stream.rawValue): \(bytes) bytes exceed the limit of \(limit) bytes"
        case .unencodable(let stream, let reason):
            "cannot write a record to \(stream.rawValue): \(reason). This is a bug in Evenkeel: report it with this message."
        case .cursorNotInLog(let path, let cursor, let reason):
            "\(path) has no position \(cursor): \(reason). If the ledger was replaced or restored on purpose, read it "
                + "again from the beginning."
        case .rolledBack(let path, let reason, _):
            "\(path) was rolled back or replaced: \(reason). It is not used, because orders could run twice. Find out "
                + "who changed it. If the change was intended, cancel the orders that must not run again, stop the agent "
                + "or controller, and run 'evenkeel ledger accept' there."
        case .notAMember(let writer, let reason):
            "\(writer) cannot write to this ledger: \(reason)"
        case .withoutIdentity(let path):
            "\(path) has no ledger id, so records cannot be signed for this ledger. Create a new ledger, or set "
                + "ledger.unsigned on every host."
        case .markNotSaved(let path, let reason):
            "the record is in the ledger, but cannot save its mark in \(path): \(reason). Make room there, or make the "
                + "file system writable."
        case .stalled(let path, let waited, let mayBeWritten):
            "\(path) did not answer within \(waited.text); \(Self.outcome(mayBeWritten)). Check the shared storage. "
                + "If a host crashed or is cut off, an NFS server makes the others wait until its lease ends (90 s by default)."
        case .failed(let operation, let path, let reason, let mayBeWritten):
            "cannot \(operation) \(path): \(reason); \(Self.outcome(mayBeWritten))"
        }
    }

    /// The system's reason, for an error that names the operation itself.
    var cause: String {
        switch self {
        case .storageFull: String(cString: strerror(ENOSPC))
        case .notPermitted(_, _, let reason), .failed(_, _, let reason, _): reason
        default: description
        }
    }

    private static func outcome(_ mayBeWritten: Bool) -> String {
        mayBeWritten ? "the record may have been written nevertheless" : "nothing was written"
    }

    /// Returns the error for a system call that failed with `code`.
    static func system(_ operation: String, _ path: String, code: Int32, mayBeWritten: Bool = false) -> Self {
        let reason = String(cString: strerror(code))
        switch code {
        case EACCES, EPERM, EROFS:
            return .notPermitted(operation: operation, path: path, reason: reason)
        case ENOSPC where !mayBeWritten, EDQUOT where !mayBeWritten:
            return .storageFull(path: path)
        default:
            return .failed(operation: operation, path: path, reason: reason, mayBeWritten: mayBeWritten)
        }
    }
}
