// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import HostOS
internal import Glibc

/// Copies of the definitions of all VMs, in the ledger's folder on shared storage.
///
///     definitions/HOST/UUID.json
///
/// Each host writes only into its own folder. All functions but `read` block.
public struct DefinitionFolder: Sendable {
    /// Maximum number of copies of one host.
    public static let copiesPerHost = 1000
    /// Maximum size of a definition's XML in bytes; usual ones have about 10 kB.
    public static let largestXML = 256 << 10
    /// Maximum size of all files of one host together that a reader reads, in bytes.
    static let bytesPerHost = 64 << 20
    /// Maximum size of a file in bytes: JSON in JSON makes up to four bytes of one.
    static let largestFile = 4 * largestXML + (64 << 10)
    static let suffix = ".json"

    private let ledger: String

    /// Uses the folder of a ledger, which `SharedLog.create(folder:)` created.
    public init(inLedger folder: String) { ledger = folder }

    var path: String { "\(ledger)/definitions" }

    private func path(of host: HostName) throws(LedgerError) -> String {
        let name = host.rawValue
        guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/"), name.utf8.count <= 200 else {
            throw .failed(
                operation: "use",
                path: path,
                reason: "'\(name.plainText(limit: 80))' cannot name a folder",
                mayBeWritten: false
            )
        }
        return "\(path)/\(name)"
    }

    private func path(of vm: VMID, by host: HostName) throws(LedgerError) -> String {
        let folder = try path(of: host)
        guard Self.canNameFile(vm.rawValue) else {
            let reason = "'\(vm.rawValue.plainText(limit: 80))' is not a UUID"
            throw .failed(operation: "use", path: folder, reason: reason, mayBeWritten: false)
        }
        return "\(folder)/\(vm)\(Self.suffix)"
    }

    private static func canNameFile(_ id: String) -> Bool {
        (1...64).contains(id.utf8.count)
            && id.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte) || byte == UInt8(ascii: "-")
            }
    }

    /// The VMs with a file in a host's folder, in order, or some of them if there are too many files.
    public struct Listing: Sendable {
        public var vms: [VMID]
        public var isWhole: Bool
    }

    /// Returns the VMs with a file in the host's folder; none if the folder does not exist.
    public func vms(of host: HostName) throws(LedgerError) -> Listing {
        let listing = try Self.listing(of: path(of: host))
        let vms = listing.names.filter { $0.hasSuffix(Self.suffix) }.map { String($0.dropLast(Self.suffix.count)) }
            .filter(Self.canNameFile).sorted().map { VMID($0) }
        return Listing(vms: vms, isWhole: listing.isWhole)
    }

    /// Throws if the ledger is not there, as when its storage is not mounted.
    public func requireLedger() throws(LedgerError) { try SegmentFiles(folder: ledger, stream: .load).requireLedger() }

    /// Returns the size of a copy's file in bytes, and when it was written, in seconds by the storage's clock.
    public func file(of vm: VMID, by host: HostName) -> (bytes: Int, writtenAt: Int)? {
        var status = stat()
        guard let path = try? path(of: vm, by: host), lstat(path, &status) == 0 else { return nil }
        return (Int(status.st_size), Int(status.st_mtim.tv_sec))
    }

    /// Returns the storage's time in seconds, from a file that is written and removed.
    public func storageTime(of host: HostName) throws(LedgerError) -> Int {
        let path =
            "\(try path(of: host))/clock\(Self.suffix).\(String(UInt64.random(in: .min ... .max), radix: 16)).new"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .system("create", path, code: errno) }
        defer {
            close(descriptor)
            unlink(path)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system("examine", path, code: errno) }
        return Int(status.st_mtim.tv_sec)
    }

    /// Returns the hosts with a folder, in order, and whether these are all.
    ///
    /// If there are too many names, `members` are looked up one by one.
    func hosts(members: [HostName]) throws(LedgerError) -> (hosts: [HostName], isWhole: Bool) {
        try requireLedger()
        let listing = try Self.listing(of: path)
        var names = Set(listing.names.filter { !$0.hasPrefix(".") })
        if !listing.isWhole {
            for member in members {
                if FolderListing.contains(try path(of: member)) { names.insert(member.rawValue) }
            }
        }
        return (names.sorted().map { HostName($0) }, listing.isWhole)
    }

    /// Returns a copy that the host signed with one of the keys; without `keys`, whoever wrote it.
    public func copy(
        of vm: VMID,
        by host: HostName,
        signedBy keys: [VerificationKey]?
    ) throws(DefinitionRefusal) -> DefinitionCopy {
        let bytes: [UInt8]
        do {
            bytes = try SafeFile.read(path(of: vm, by: host), .published, atMost: Self.largestFile)
        } catch let failure as SafeFile.Failure {
            throw .unreadable(failure.reason.text)
        } catch { throw .unreadable("\(error)") }
        let copy = try SignedDefinition(json: bytes).content(of: host, signedBy: keys)
        guard copy.definition.id == vm else { throw .wrongPlace(copy.definition.id, host) }
        return copy
    }

    /// Replaces the copy of a VM; durable on return.
    public func write(_ copy: DefinitionCopy, signedBy key: SigningKey?) throws {
        let path = try path(of: copy.definition.id, by: copy.host)
        // The folder may be the empty mount point of a missing storage.
        try requireLedger()
        try LedgerFolder.make(self.path, in: ledger)
        try LedgerFolder.make(self.path(of: copy.host), in: self.path)
        let json = try SignedDefinition(copy, signedBy: key).json
        guard json.count <= Self.largestFile else {
            let reason = "\(json.count) bytes exceed the limit of \(Self.largestFile) bytes"
            throw LedgerError.failed(operation: "write", path: path, reason: reason, mayBeWritten: false)
        }
        do { try DurableFile.replace(path, with: json, mode: SharedLog.fileMode) } catch {
            throw LedgerError.system("write", error.path, code: error.code)
        }
    }

    public func remove(_ vm: VMID, of host: HostName) throws(LedgerError) {
        let path = try path(of: vm, by: host)
        guard unlink(path) == 0 || errno == ENOENT else { throw .system("remove", path, code: errno) }
    }

    /// Removes what a crash left of unfinished writes.
    public func removeDrafts(of host: HostName) throws(LedgerError) {
        let folder = try path(of: host)
        for name in try Self.listing(of: folder).names where name.contains("\(Self.suffix).") && name.hasSuffix(".new")
        {
            unlink("\(folder)/\(name)")
        }
    }

    private static func listing(of folder: String) throws(LedgerError) -> (names: [String], isWhole: Bool) {
        try FolderListing.some(in: folder) ?? ([], true)
    }
}
