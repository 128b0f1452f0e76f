// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import HostOS

/// A file of the folder, verified.
public struct StoredDefinition: Sendable {
    public var vm: VMID
    public var host: HostName
    public var copy: Result<DefinitionCopy, DefinitionRefusal>
    /// Set if the host was removed from the cluster; nothing proves that the copy is older than that.
    public var removal: Roster.Revocation?

    public init(
        vm: VMID,
        host: HostName,
        copy: Result<DefinitionCopy, DefinitionRefusal>,
        removal: Roster.Revocation? = nil
    ) {
        self.vm = vm
        self.host = host
        self.copy = copy
        self.removal = removal
    }
}

extension DefinitionFolder {
    /// The files of all hosts, and descriptions of what was not read.
    public struct Content: Sendable {
        public var files: [StoredDefinition] = []
        public var warnings: [String] = []
        /// The names of other VMs, if only one VM was wanted by its name.
        public var otherNames: Set<String> = []

        public init(files: [StoredDefinition] = [], warnings: [String] = []) {
            self.files = files
            self.warnings = warnings
        }
    }

    /// Maximum duration of reading all copies; only storage that hangs takes longer.
    private static let timeLimit: Duration = .seconds(120)
    /// Maximum duration of reading one host's copies.
    private static let hostLimit: Duration = .seconds(30)
    /// Maximum time by which a copy may be ahead of the reader's clock.
    private static let clockTolerance: Duration = .seconds(600)

    /// Reads and verifies the copies of all hosts; with `wanted`, a name or UUID, those of that VM.
    ///
    /// In a signed ledger, folders of hosts that are not in the roster are not read. A host whose copies cannot be read in
    /// time costs only its own.
    public func read(_ security: LedgerSecurity, now: Instant, wanted: String? = nil) async throws -> Content {
        var roster: Roster?
        if case .signed(_, let current) = security { roster = current() }
        var content = Content()
        let deadline = ContinuousClock.now + Self.timeLimit
        let members: [HostName] = (roster?.members ?? []).compactMap {
            if case .host(let name) = $0.name { name } else { nil }
        }
        let listing = try await blocking(path, Self.hostLimit) { () throws(LedgerError) in
            try self.hosts(members: members)
        }
        var hosts = listing.hosts
        if !listing.isWhole {
            // A warning for each unknown name would flood the output.
            if roster != nil { hosts = hosts.filter(Set<HostName>(members).contains) }
            content.warnings.append(
                "\(path): not all names were read, because there are more than \(FolderListing.maximum); find out who made them"
            )
        }
        for host in hosts {
            let left = min(Self.hostLimit, deadline - .now)
            do throws(LedgerError) {
                guard left > .zero else { throw .stalled(path: path, waited: Self.timeLimit, mayBeWritten: false) }
                let part = try await blocking("\(path)/\(host)", left) { [roster] () throws(LedgerError) in
                    try read(host, roster, now, wanted: wanted)
                }
                content.files += part.files
                content.warnings += part.warnings
                content.otherNames.formUnion(part.otherNames)
            } catch { content.warnings.append("\(error)".plainText()) }
        }
        return content
    }

    private func blocking<Value: Sendable>(
        _ path: String,
        _ limit: Duration,
        _ work: @Sendable @escaping () throws(LedgerError) -> Value
    ) async throws(LedgerError) -> Value {
        try await Blocking.run(
            within: limit,
            late: { _ in LedgerError.stalled(path: path, waited: limit, mayBeWritten: false) },
            work
        )
    }

    private func read(
        _ host: HostName,
        _ roster: Roster?,
        _ now: Instant,
        wanted: String?
    ) throws(LedgerError) -> Content {
        var content = Content()
        let folder = "\(path)/\(host.rawValue.plainText(limit: 80))"
        let member = roster?[.host(host)]
        if roster != nil, member == nil {
            content.warnings.append("\(folder): not read: \(DefinitionRefusal.unknownHost(host))")
            return content
        }
        let vms: [VMID]
        if let wanted, Self.isUUID(wanted) {
            vms = [VMID(wanted)].filter { file(of: $0, by: host) != nil }
        } else {
            vms = try listed(of: host, folder, &content)
        }
        var bytes = 0
        for (number, vm) in vms.enumerated() {
            bytes += min(file(of: vm, by: host)?.bytes ?? 0, Self.bytesPerHost + 1)
            guard bytes <= Self.bytesPerHost else {
                content.warnings.append(
                    "\(folder): only \(number) of \(vms.count) files were read, because they have more than "
                        + "\(Self.bytesPerHost >> 20) MiB; find out who wrote them"
                )
                break
            }
            let file = StoredDefinition(
                vm: vm,
                host: host,
                copy: Result { () throws(DefinitionRefusal) in try current(vm, host, member?.keys, now) },
                removal: member?.revocation
            )
            content.take(file, wanted: wanted)
        }
        return content
    }

    private func listed(
        of host: HostName,
        _ folder: String,
        _ content: inout Content
    ) throws(LedgerError) -> [VMID] {
        let listing = try vms(of: host)
        let vms = listing.vms
        if vms.count > Self.copiesPerHost || !listing.isWhole {
            let all = listing.isWhole ? "\(vms.count)" : "more than \(vms.count)"
            content.warnings.append(
                "\(folder): only \(min(vms.count, Self.copiesPerHost)) of \(all) files were read; find out who wrote them"
            )
        }
        return Array(vms.prefix(Self.copiesPerHost))
    }

    private func current(
        _ vm: VMID,
        _ host: HostName,
        _ keys: [VerificationKey]?,
        _ now: Instant
    ) throws(DefinitionRefusal) -> DefinitionCopy {
        let copy = try self.copy(of: vm, by: host, signedBy: keys)
        let ahead = max(copy.at, copy.goneSince ?? copy.at) - now
        guard ahead <= Self.clockTolerance else { throw .fromTheFuture(ahead: ahead) }
        return copy
    }

    /// Returns whether a VM is wanted by its UUID: any other text may be a name, also if a file has it.
    private static func isUUID(_ text: String) -> Bool {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        return groups.map(\.count) == [8, 4, 4, 4, 12]
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) || byte == UInt8(ascii: "-")
            }
    }
}

extension DefinitionFolder.Content {
    /// Takes a file, unless another VM is wanted; only its name is kept then.
    fileprivate mutating func take(_ file: StoredDefinition, wanted: String?) {
        guard let wanted, file.vm.rawValue != wanted else { return files.append(file) }
        guard case .success(let copy) = file.copy else { return }
        if copy.definition.name == wanted {
            files.append(file)
        } else {
            otherNames.insert(copy.definition.name)
        }
    }
}
