// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Ledger

/// This host's copies of its VM definitions in the ledger's folder.
///
/// It reads and writes only the folder of its own host, and relies on no other host's copies.
public struct OwnDefinitions: Sendable {
    /// Time for which a copy is kept after the host was first found without the definition.
    static let kept: Duration = .seconds(30 * 86400)
    /// Maximum number of files written or removed in one update; the next one continues.
    static let changesPerUpdate = 100

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

    enum Change: Equatable {
        case write(DefinitionCopy)
        case remove(VMID)
    }

    /// Writes and removes the files that differ from the hypervisor's definitions.
    ///
    /// `known` are the copies after the last update; `nil`: they are read from the folder. Blocks.
    func update(
        _ known: [VMID: DefinitionCopy]?,
        to definitions: [VMDefinition],
        at now: Instant
    ) throws -> Update {
        let files = Set(try folder.vms(of: host))
        // A file that somebody has removed is written again.
        var update = Update(copies: (try known ?? read(files)).filter { files.contains($0.key) })
        let defined = Set(definitions.map(\.id))
        let storable = storable(definitions, &update.problems)
        let foreign = files.subtracting(update.copies.keys).subtracting(defined)
        if !foreign.isEmpty {
            update.problems.append(
                "this host's folder has files of other VMs that its present key did not sign (\(foreign.count)): "
                    + "'evenkeel definitions' lists them; remove those that nobody needs"
            )
        }
        let changes = changes(from: update.copies, to: storable, defined: defined, at: now)
        for change in changes.prefix(Self.changesPerUpdate) {
            switch change {
            case .write(let copy):
                try folder.write(copy, signedBy: key)
                update.copies[copy.definition.id] = copy
            case .remove(let vm):
                try folder.remove(vm, of: host)
                update.copies[vm] = nil
            }
        }
        return update
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
        at now: Instant
    ) -> [Change] {
        var changes: [Change] = []
        for definition in definitions {
            let copy = copies[definition.id]
            if let copy, copy.definition == definition, copy.goneSince == nil { continue }
            changes.append(.write(DefinitionCopy(host: host, at: now, definition: definition)))
        }
        // The copies of VMs that have left last come first.
        let gone = copies.values.filter { !defined.contains($0.definition.id) }.sorted {
            ($0.goneSince ?? now, $0.definition.id) > ($1.goneSince ?? now, $1.definition.id)
        }
        let room = max(0, DefinitionFolder.copiesPerHost - definitions.count)
        for (number, copy) in gone.enumerated() {
            if number >= room || now - (copy.goneSince ?? now) >= Self.kept {
                changes.append(.remove(copy.definition.id))
            } else if copy.goneSince == nil {
                var copy = copy
                copy.goneSince = now
                changes.append(.write(copy))
            }
        }
        return changes
    }
}
