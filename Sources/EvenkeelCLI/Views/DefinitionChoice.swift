// SPDX-License-Identifier: Apache-2.0
package import Fleet
package import Ledger

/// A verified copy of a VM's definition.
package struct UsableDefinition: Sendable, Equatable {
    package var copy: DefinitionCopy
    /// Set if the host was removed from the cluster.
    package var removal: Roster.Revocation?
}

/// The stored copies of VM definitions, and those of them to use.
package struct DefinitionChoice: Sendable {
    package var files: [StoredDefinition]
    /// The names of VMs whose files were not kept.
    private var otherNames: [String] = []

    package init(_ files: [StoredDefinition]) { self.files = files }

    package init(_ content: DefinitionFolder.Content) {
        files = content.files
        otherNames = content.otherNames.sorted()
    }

    private var usable: [UsableDefinition] {
        files.compactMap { file in
            guard case .success(let copy) = file.copy else { return nil }
            return UsableDefinition(copy: copy, removal: file.removal)
        }
    }

    /// The files that are not used, and why.
    package var refused: [StoredDefinition] {
        files.filter { if case .failure = $0.copy { true } else { false } }
    }

    /// All verified copies, by the VM's name and the newest first.
    package var all: [UsableDefinition] { usable.sorted(by: Self.isBefore) }

    /// The best copies of each VM, by its name.
    package var best: [UsableDefinition] {
        Dictionary(grouping: usable, by: \.copy.definition.id).values.flatMap(Self.best).sorted(by: Self.isBefore)
    }

    /// Returns the copies of the hosts that define the VM, of which there should be one.
    ///
    /// If none does, it is the copy of the host that had it last, or else those of removed hosts. A host must not hide
    /// another's copy by one with a newer time.
    private static func best(_ copies: [UsableDefinition]) -> [UsableDefinition] {
        let members = copies.filter { $0.removal == nil }
        let present = members.filter { $0.copy.goneSince == nil }
        if !present.isEmpty { return present }
        let last = members.max { ($0.copy.goneSince ?? $0.copy.at) < ($1.copy.goneSince ?? $1.copy.at) }
        return last.map { [$0] } ?? copies
    }

    private static func isBefore(_ left: UsableDefinition, _ right: UsableDefinition) -> Bool {
        let (one, two) = (left.copy, right.copy)
        return (one.definition.name, one.definition.id, two.at, one.host)
            < (two.definition.name, two.definition.id, one.at, two.host)
    }

    /// Returns the copy to restore for a name or UUID; `host` chooses the copy of one host.
    ///
    /// Copies that differ are left to the operator, also if only one of their hosts says that it has the VM: any member can
    /// store a definition, and a host that was lost or removed cannot object. `arrivals` are the targets of the newest moves.
    package func copy(
        of vm: String,
        from host: HostName?,
        arrivals: [VMID: HostName] = [:]
    ) throws(DefinitionChoiceError) -> UsableDefinition {
        let ids = Set(
            usable.map(\.copy.definition).filter { $0.id.rawValue == vm || $0.name == vm }.map(\.id)
                + refused.map(\.vm).filter { $0.rawValue == vm }
        ).sorted()
        guard let id = ids.first else {
            throw .unknownVM(vm, near: FleetNames.near(vm, among: usable.map(\.copy.definition.name) + otherNames))
        }
        guard ids.count == 1 else { throw .ambiguous(vm, uuids: ids) }
        let copies = usable.filter { $0.copy.definition.id == id }
        if let host {
            if let copy = copies.first(where: { $0.copy.host == host }) { return copy }
            for file in refused where file.vm == id && file.host == host {
                if case .failure(let reason) = file.copy { throw .refused(vm, by: host, reason) }
            }
            throw .notOnHost(vm, host, known: copies.map(\.copy.host))
        }
        guard Set(copies.map(\.copy.definition.xml)).count <= 1 else {
            throw .copiesDiffer(vm, copies.sorted { $0.copy.host < $1.copy.host }, movedTo: arrivals[id])
        }
        let best = Self.best(copies)
        guard let choice = best.first else {
            for file in refused where file.vm == id {
                if case .failure(let reason) = file.copy { throw .refused(vm, by: file.host, reason) }
            }
            throw .unknownVM(vm, near: [])
        }
        guard best.count == 1 else { throw .severalHosts(vm, best.map(\.copy.host).sorted()) }
        if let removal = choice.removal { throw .removedHost(vm, choice.copy.host, removal) }
        return choice
    }
}

/// The reasons why no copy is restored.
package enum DefinitionChoiceError: Error, Equatable, CustomStringConvertible {
    case unknownVM(String, near: [String])
    case ambiguous(String, uuids: [VMID])
    case notOnHost(String, HostName, known: [HostName])
    /// More than one host has a copy of a VM that it defines.
    case severalHosts(String, [HostName])
    case removedHost(String, HostName, Roster.Revocation)
    /// The hosts have stored different definitions; `movedTo`: the target of the VM's newest move in the ledger.
    case copiesDiffer(String, [UsableDefinition], movedTo: HostName?)
    case refused(String, by: HostName, DefinitionRefusal)

    package var description: String {
        switch self {
        case .unknownVM(let vm, let near):
            "no host has stored a definition of '\(vm)'"
                + (near.isEmpty
                    ? "; 'evenkeel definitions' lists them"
                    : "; did you mean \(near.map { $0.plainText(limit: 80) }.joined(separator: ", "))?")
        case .ambiguous(let vm, let uuids):
            "several VMs have the name '\(vm)'; give the UUID: \(uuids.map(\.rawValue).joined(separator: ", "))"
        case .notOnHost(let vm, let host, let known):
            "\(vm): \(host) has stored no definition of it; "
                + (known.isEmpty ? "no host has" : "\(known.map(\.rawValue).joined(separator: ", ")) has")
        case .severalHosts(let vm, let hosts):
            "\(vm): \(hosts.map(\.rawValue).joined(separator: " and ")) have stored a definition of it. Find out which "
                + "host had it last ('evenkeel status'), and choose its copy with --from HOST."
        case .removedHost(let vm, let host, let removal):
            "\(vm): only \(host) has stored its definition, which was removed from the cluster \(removal.text). If you "
                + "trust what it stored, repeat this with --from \(host)."
        case .copiesDiffer(let vm, let copies, let target):
            "\(vm): the stored definitions differ: \(copies.map(\.origin).joined(separator: "; ")). "
                + (target.map { "Its newest move in the ledger went to \($0). " } ?? "")
                + "Find out which host had it last, look at its copy ('--from HOST'), and define only what you recognise."
        case .refused(let vm, let host, let reason):
            "\(vm): the copy of \(host) is refused: \(reason)"
        }
    }
}
