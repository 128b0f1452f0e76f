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

        public init(files: [StoredDefinition] = [], warnings: [String] = []) {
            self.files = files
            self.warnings = warnings
        }
    }

    /// Maximum duration of reading all copies; only storage that hangs takes longer.
    private static let timeLimit: Duration = .seconds(120)
    /// Maximum time by which a copy may be ahead of the reader's clock.
    private static let clockTolerance: Duration = .seconds(600)

    /// Reads and verifies the copies of all hosts.
    ///
    /// In a signed ledger, folders of hosts that are not in the roster are not read.
    public func read(_ security: LedgerSecurity, now: Instant) async throws -> Content {
        let limit = Self.timeLimit
        return try await Blocking.run(
            within: limit,
            late: { [path] _ in LedgerError.stalled(path: path, waited: limit, mayBeWritten: false) },
            { () throws(LedgerError) in
                var roster: Roster?
                if case .signed(_, let current) = security { roster = current() }
                var content = Content()
                for host in try hosts() { read(host, roster, now, into: &content) }
                return content
            }
        )
    }

    private func read(_ host: HostName, _ roster: Roster?, _ now: Instant, into content: inout Content) {
        let folder = "\(path)/\(host.rawValue.plainText(limit: 80))"
        let member = roster?[.host(host)]
        if roster != nil, member == nil {
            content.warnings.append("\(folder): not read: \(DefinitionRefusal.unknownHost(host))")
            return
        }
        do {
            let vms = try vms(of: host)
            if vms.count > Self.copiesPerHost {
                content.warnings.append(
                    "\(folder): only \(Self.copiesPerHost) of \(vms.count) files were read; find out who wrote them"
                )
            }
            for vm in vms.prefix(Self.copiesPerHost) {
                let result = Result { () throws(DefinitionRefusal) in
                    let copy = try self.copy(of: vm, by: host, signedBy: member?.keys)
                    let ahead = max(copy.at, copy.goneSince ?? copy.at) - now
                    guard ahead <= Self.clockTolerance else { throw .fromTheFuture(ahead: ahead) }
                    return copy
                }
                let file = StoredDefinition(vm: vm, host: host, copy: result, removal: member?.revocation)
                content.files.append(file)
            }
        } catch { content.warnings.append("\(error)".plainText()) }
    }
}
