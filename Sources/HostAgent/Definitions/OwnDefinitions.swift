// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import Hypervisor
public import Ledger

/// This host's copies of its VM definitions in the ledger's folder.
///
/// It reads and writes only the folder of its own host, and relies on no other host's copies.
public struct OwnDefinitions: Sendable {
    /// Time for which a copy is kept after the host was first found without the definition.
    static let kept: Duration = .seconds(30 * 86400)
    /// Maximum number of files written or removed in one update; the next one continues.
    static let changesPerUpdate = 100

    /// Maximum number of failed files that one update describes.
    private static let problemsReported = 3

    let folder: DefinitionFolder
    let host: HostName
    /// `nil` in an unsigned ledger.
    let key: SigningKey?

    public init(inLedger folder: String, host: HostName, signedBy key: SigningKey?) {
        self.folder = DefinitionFolder(inLedger: folder)
        self.host = host
        self.key = key
    }

    struct Update {
        /// The copies that the folder now has.
        var copies: [VMID: DefinitionCopy]
        /// Descriptions of what could not be stored.
        var problems: [String] = []
    }

    enum Cause { case age, number }

    enum Change: Equatable {
        case write(DefinitionCopy)
        case remove(VMID, Cause)
    }

    /// Writes and removes the files that differ from the hypervisor's definitions.
    ///
    /// `known` are the copies after the last update; `nil`: they are read from the folder. A file that cannot be written
    /// costs only its own copy, and so does a definition that cannot be read. Blocks.
    func update(
        _ known: [VMID: DefinitionCopy]?,
        to present: PersistentDefinitions,
        at time: UpdateTime
    ) throws -> Update {
        // An empty mount point must not look as if the files were gone.
        try folder.requireLedger()
        let definitions = present.definitions
        let defined = Set(definitions.map(\.id) + present.unreadable.map(\.id))
        var problems: [String] = []
        let (files, isWhole) = try files(defined.union((known ?? [:]).keys), &problems)
        // A file that somebody has removed is written again.
        var update = Update(copies: (try known ?? read(files)).filter { files.contains($0.key) }, problems: problems)
        describe(present.unreadable, &update.problems)
        let storable = storable(definitions, &update.problems)
        let foreign = files.subtracting(update.copies.keys).subtracting(defined)
        if isWhole, !foreign.isEmpty {
            update.problems.append(
                "this host's folder has files of other VMs that its present key did not sign (\(foreign.count)): "
                    + "'evenkeel definitions' lists them; remove those that nobody needs"
            )
        }
        if let step = time.step {
            let corrected = update.copies.values.compactMap(step.corrected)
            carryOut(corrected.map { .write($0) }, atMost: .max, &update)
        }
        let changes = changes(from: update.copies, to: storable, defined: defined, at: time)
        carryOut(removable(changes), atMost: Self.changesPerUpdate, &update)
        return update
    }

    /// Carries out up to `limit` changes; tries up to as many more that fail.
    private func carryOut(_ changes: [Change], atMost limit: Int, _ update: inout Update) {
        var (done, failures) = (0, 0)
        for change in changes where done < limit && failures < limit {
            do {
                switch change {
                case .write(let copy):
                    try folder.write(copy, signedBy: key)
                    update.copies[copy.definition.id] = copy
                case .remove(let vm, _):
                    try folder.remove(vm, of: host)
                    update.copies[vm] = nil
                }
                done += 1
            } catch {
                failures += 1
                if failures <= Self.problemsReported { update.problems.append("\(error)") }
            }
        }
        if failures > Self.problemsReported {
            update.problems.append("\(failures - Self.problemsReported) other files have failed, too")
        }
    }

    /// Leaves out the removals of copies that the storage has not had for long enough since they were marked as gone.
    ///
    /// Ages are differences of the storage's times, so that a wrong clock of this host removes nothing.
    private func removable(_ changes: [Change]) -> [Change] {
        let isDue = changes.contains { if case .remove(_, .age) = $0 { true } else { false } }
        let now = isDue ? try? folder.storageTime(of: host) : nil
        return changes.filter { change in
            guard case .remove(let vm, .age) = change else { return true }
            guard let now, let file = folder.file(of: vm, by: host) else { return false }
            return .seconds(now) - .seconds(file.writtenAt) >= Self.kept
        }
    }

    /// Returns the VMs with a file; `own` are those that matter if the folder has too many files to list.
    private func files(_ own: Set<VMID>, _ problems: inout [String]) throws -> (Set<VMID>, isWhole: Bool) {
        let listing = try folder.vms(of: host)
        guard !listing.isWhole else { return (Set(listing.vms), true) }
        problems.append("this host's folder has too many files to list them: remove those that Evenkeel did not make")
        return (Set(listing.vms).union(own.filter { folder.file(of: $0, by: host) != nil }), false)
    }

    /// Returns this host's copies; files that it did not sign do not count.
    private func read(_ files: Set<VMID>) throws -> [VMID: DefinitionCopy] {
        try folder.removeDrafts(of: host)
        var copies: [VMID: DefinitionCopy] = [:]
        for vm in files {
            copies[vm] = try? folder.copy(of: vm, by: host, signedBy: key.map { [$0.verification] })
        }
        return copies
    }

    /// The copies of these VMs, if there are any, stay as they are.
    private func describe(_ unreadable: [PersistentDefinitions.Unreadable], _ problems: inout [String]) {
        for vm in unreadable.prefix(Self.problemsReported) {
            problems.append(
                "the definition of \(vm.name) cannot be read, and a change of it is not stored: \(vm.reason)"
            )
        }
        if unreadable.count > Self.problemsReported {
            problems.append("\(unreadable.count - Self.problemsReported) other definitions cannot be read, either")
        }
    }

    private func storable(_ definitions: [VMDefinition], _ problems: inout [String]) -> ArraySlice<VMDefinition> {
        let limit = DefinitionFolder.largestXML
        for large in definitions where large.xml.utf8.count > limit {
            problems.append("the definition of \(large.name) has more than \(limit) bytes and is not stored")
        }
        let small = definitions.filter { $0.xml.utf8.count <= limit }
        if small.count > DefinitionFolder.copiesPerHost {
            problems.append("\(small.count) VMs are defined; only \(DefinitionFolder.copiesPerHost) are stored")
        }
        return small.prefix(DefinitionFolder.copiesPerHost)
    }

    /// `defined`: all VMs that the host defines, storable or not.
    func changes(
        from copies: [VMID: DefinitionCopy],
        to definitions: ArraySlice<VMDefinition>,
        defined: Set<VMID>,
        at time: UpdateTime
    ) -> [Change] {
        let now = time.now
        var changes: [Change] = []
        for definition in definitions {
            let copy = copies[definition.id]
            if let copy, copy.definition == definition, copy.goneSince == nil, !time.isBehind(copy) { continue }
            changes.append(.write(DefinitionCopy(host: host, at: now, definition: definition)))
        }
        // The copies of VMs that have left last come first.
        let gone = copies.values.filter { !defined.contains($0.definition.id) }.sorted {
            ($0.goneSince ?? now, $0.definition.id) > ($1.goneSince ?? now, $1.definition.id)
        }
        let room = max(0, DefinitionFolder.copiesPerHost - definitions.count)
        for (number, copy) in gone.enumerated() {
            if number >= room, time.mayRemove {
                changes.append(.remove(copy.definition.id, .number))
            } else if copy.goneSince == nil || time.isBehind(copy) {
                var copy = copy
                if time.isBehind(copy) { copy.at = min(copy.at, now) }
                copy.goneSince = now
                changes.append(.write(copy))
            } else if time.mayRemove, now - (copy.goneSince ?? now) >= Self.kept {
                changes.append(.remove(copy.definition.id, .age))
            }
        }
        return changes
    }
}
