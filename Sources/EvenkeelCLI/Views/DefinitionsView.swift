// SPDX-License-Identifier: Apache-2.0
package import Fleet
package import Ledger

/// The stored copies of VM definitions, as text and as JSON.
package struct DefinitionsView: Encodable, Sendable {
    package struct Row: Encodable, Sendable {
        package var vm: VMID
        /// `nil` if the file is refused, like all that its content states.
        package var name: String?
        package var host: HostName
        /// When the host read this definition for the first time.
        package var at: Instant?
        /// When the host first found that it has the definition no more.
        package var goneSince: Instant?
        package var digest: String?
        package var startsWithHost: Bool?
        /// `valid`, or the code of the refusal.
        package var code: String
        /// Why the file is refused, or what to know before it is used.
        package var reason: String?
    }

    package var at: Instant
    package var definitions: [Row]
    package var warnings: [String]

    /// `all`: every verified copy, instead of the best of each VM.
    package init(_ content: DefinitionFolder.Content, all: Bool = false, at instant: Instant) {
        at = instant
        let choice = DefinitionChoice(content.files)
        definitions = (all ? choice.all : choice.best).map { Row($0) } + choice.refused.compactMap { Row(refused: $0) }
        warnings = content.warnings
    }

    package var text: String {
        let table = TextTable(
            ["VM", "UUID", "HOST", "AGE", "DIGEST", "AUTOSTART", "STATE"],
            definitions.map { row in
                [
                    row.name ?? "?",
                    row.vm.rawValue,
                    row.host.rawValue,
                    row.at.map { Units.age((at - $0).inSeconds) } ?? "?",
                    row.digest.map { String($0.prefix(12)) } ?? "?",
                    row.startsWithHost.map { $0 ? "yes" : "no" } ?? "?",
                    row.code == "valid"
                        ? (["valid"] + [row.reason].compactMap(\.self)).joined(separator: "; ")
                        : "refused: \(row.reason ?? row.code)",
                ]
            },
            empty: "No definitions are stored. Agents store them within a minute of their start."
        )
        return ([table.text] + warnings.map { "warning: \($0)".plainText() }).joined(separator: "\n\n")
    }
}

extension DefinitionsView.Row {
    fileprivate init(_ usable: UsableDefinition) {
        let copy = usable.copy
        self.init(
            vm: copy.definition.id,
            name: copy.definition.name,
            host: copy.host,
            at: copy.at,
            goneSince: copy.goneSince,
            digest: copy.definition.digest,
            startsWithHost: copy.definition.startsWithHost,
            code: "valid",
            reason: usable.remark
        )
    }

    fileprivate init?(refused file: StoredDefinition) {
        guard case .failure(let refusal) = file.copy else { return nil }
        self.init(vm: file.vm, host: file.host, code: refusal.code, reason: "\(refusal)")
    }
}

extension UsableDefinition {
    /// Whose copy it is, and since when.
    var origin: String {
        ["\(copy.host) (since \(copy.at.readable))", remark].compactMap(\.self).joined(separator: ", ").plainText()
    }

    /// What to know before the copy is used; `nil`: nothing.
    var remark: String? {
        if let removal { return "\(copy.host) was removed from the cluster \(removal.text)" }
        return copy.goneSince.map { "\(copy.host) has not defined it since \($0.readable)" }
    }

    /// Returns what the copy lacks, and where the VM may be.
    ///
    /// `hosts` are the hosts of the fleet with their newest samples, which count for `staleAfter`.
    package func notes(hosts: [FleetView.Host], staleAfter: Duration, at now: Instant) -> [String] {
        let definition = copy.definition
        let name = definition.name.plainText(limit: 80)
        var notes = ["\(name) (\(definition.id)): the definition that \(copy.host) has had since \(copy.at.readable)"]
        if let remark { notes.append("warning: \(remark)".plainText()) }
        for host in hosts {
            guard let sample = host.sample, let vm = sample.vms?.first(where: { $0.id == definition.id }) else {
                continue
            }
            let isThere = vm.state.isActive ? "runs" : "is defined"
            if now - sample.at > staleAfter {
                let age = Units.age((now - sample.at).inSeconds)
                notes.append(
                    "warning: \(host.name), where \(name) \(isThere), last reported \(age) ago. Make sure that it is off "
                        + "and stays off before you start \(name) elsewhere."
                )
            } else {
                notes.append("warning: \(name) \(isThere) on \(host.name); define it there only")
            }
        }
        notes.append(
            "The definition lacks secrets, such as passwords of graphics consoles: set them with 'virsh edit'."
        )
        let warnings = DefinitionWarnings(definition.xml)
        notes += warnings.text
        let left = warnings.stateInFiles
        if !left.isEmpty {
            notes.append("Its \(left.joined(separator: " and ")) were files on \(copy.host) and are not part of it.")
        }
        if definition.startsWithHost {
            notes.append("It started with its host: after 'virsh define', run 'virsh autostart \(definition.id)'.")
        }
        return notes
    }
}
