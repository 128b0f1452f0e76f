// SPDX-License-Identifier: Apache-2.0
import Balancing
import Coordination
import Fleet
import Foundation
import HostOS
import Ledger
import Testing

@testable import EvenkeelCLI

/// `evenkeel definitions`: which copy of a definition is shown and restored.
struct DefinitionChoiceTests {
    private static let vm = VMID("aaaaaaaa-0000-4000-8000-00000000000a")
    private let now = Instant(milliseconds: 1_795_687_216_000)
    private let h3 = HostName("h3")
    private let removal = Roster.Revocation(at: Instant(milliseconds: 0), reason: "dead", ends: [:])

    private func file(
        _ host: HostName,
        _ vm: VMID = Self.vm,
        name: String = "web1",
        daysAgo: Int = 1,
        goneDaysAgo: Int? = nil,
        removal: Roster.Revocation? = nil,
        xml: String = "<domain/>\n"
    ) -> StoredDefinition {
        let copy = DefinitionCopy(
            host: host,
            at: now - .seconds(86_400 * daysAgo),
            goneSince: goneDaysAgo.map { now - .seconds(86_400 * $0) },
            definition: VMDefinition(id: vm, name: name, xml: xml, digest: "0123456789abcdef", startsWithHost: true)
        )
        return StoredDefinition(vm: vm, host: host, copy: .success(copy), removal: removal)
    }

    private func chosen(_ files: StoredDefinition..., from host: HostName? = nil) throws -> HostName {
        try DefinitionChoice(files).copy(of: "web1", from: host).copy.host
    }

    @Test func `the copy of the host that defines the VM is chosen, however old it is`() throws {
        #expect(try chosen(file(h1, daysAgo: 9), file(h2, daysAgo: 5, goneDaysAgo: 1)) == h1)
    }

    @Test func `if no host defines the VM, the copy of the last one is chosen`() throws {
        #expect(try chosen(file(h1, goneDaysAgo: 3), file(h2, daysAgo: 9, goneDaysAgo: 2)) == h2)
    }

    @Test func `if several hosts claim to define it, the operator chooses`() throws {
        #expect(throws: DefinitionChoiceError.severalHosts("web1", [h1, h2])) {
            try chosen(file(h2, daysAgo: 0), file(h1))
        }
        #expect(try chosen(file(h2, daysAgo: 0), file(h1), from: h1) == h1)
        #expect(DefinitionChoice([file(h2), file(h1)]).best.count == 2)
    }

    @Test func `the copy of a removed host is used only on request`() throws {
        #expect(throws: DefinitionChoiceError.removedHost("web1", h3, removal)) {
            try chosen(file(h3, removal: removal))
        }
        #expect(try chosen(file(h3, removal: removal), from: h3) == h3)
        #expect(try chosen(file(h3, daysAgo: 0, removal: removal), file(h1, goneDaysAgo: 5)) == h1, "they are equal")
    }

    @Test func `definitions that differ are left to the operator, whatever their hosts say`() throws {
        let real = [
            file(h3, removal: removal), file(h3, daysAgo: 9, goneDaysAgo: 3), file(h3, daysAgo: 2),
        ]
        for real in real {
            let files = [real, file(h2, daysAgo: 0, xml: "<domain><qemu:commandline/></domain>")]
            let error = #expect(throws: DefinitionChoiceError.self) {
                try DefinitionChoice(files).copy(of: "web1", from: nil, arrivals: [Self.vm: h3])
            }
            guard case .copiesDiffer("web1", let copies, movedTo: h3)? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(copies.map(\.copy.host) == [h2, h3])
            let text = error?.description ?? ""
            #expect(
                text.contains("h2 (since ") && text.contains("h3 (since ")
                    && text.contains("move in the ledger went to h3")
            )
            #expect(try DefinitionChoice(files).copy(of: "web1", from: h3).copy.host == h3)
        }
    }

    @Test func `a refused copy is never restored, and the reason is given`() {
        let forged = StoredDefinition(vm: Self.vm, host: h1, copy: .failure(.altered))
        for host in [nil, h1] {
            #expect(throws: DefinitionChoiceError.refused(Self.vm.rawValue, by: h1, .altered)) {
                try DefinitionChoice([forged]).copy(of: Self.vm.rawValue, from: host)
            }
        }
        #expect(throws: DefinitionChoiceError.unknownVM("web1", near: [])) { try chosen(forged) }
    }

    @Test func `a name that two VMs have is ambiguous`() {
        let other = VMID("bbbbbbbb")
        #expect(throws: DefinitionChoiceError.ambiguous("web1", uuids: [Self.vm, other])) {
            try chosen(file(h1), file(h2, other))
        }
    }

    @Test func `the table shows each VM once, and why a file is refused`() {
        let content = DefinitionFolder.Content(
            files: [
                file(h1, daysAgo: 3), file(h2, daysAgo: 9, goneDaysAgo: 3),
                StoredDefinition(vm: VMID("cccccccc"), host: h2, copy: .failure(.unsigned)),
            ],
            warnings: ["something was not read"]
        )
        let view = DefinitionsView(content, at: now)
        #expect(view.definitions.map(\.code) == ["valid", "unsigned"])
        let text = view.text
        #expect(text.contains(/web1 +aaaaaaaa-0000-4000-8000-00000000000a +h1 +3 d +0123456789ab +yes +valid\n/))
        #expect(text.contains(/cccccccc +h2 .*refused: it is not signed/))
        #expect(text.hasSuffix("warning: something was not read"))
        let all = DefinitionsView(content, all: true, at: now)
        #expect(all.definitions.map(\.host) == [h1, h2, h2])
        #expect(all.text.contains("valid; h2 has not defined it since"))
    }

    @Test func `notes say where the VM is and what the definition lacks`() throws {
        let xml = "<domain><os><nvram>/x</nvram></os><devices><tpm model='tpm-crb'/></devices></domain>"
        let usable = try DefinitionChoice([file(h1, xml: xml)]).copy(of: "web1", from: nil)
        func host(_ name: HostName, _ state: VMState, ago seconds: Int) -> FleetView.Host {
            FleetView.Host(
                name: name,
                verdict: .calm,
                code: "calm",
                reason: "",
                sample: LoadSample(
                    host: name,
                    at: now - .seconds(seconds),
                    vms: [VMSample(id: Self.vm, name: "web1", state: state)]
                ),
                isInMaintenance: false
            )
        }
        let hosts = [host(h1, .running, ago: 7200), host(h2, .running, ago: 5), host(h3, .shutOff, ago: 5)]
        let notes = usable.notes(hosts: hosts, staleAfter: .seconds(60), at: now).joined(separator: "\n")
        #expect(notes.contains("warning: h1, where web1 runs, last reported 2 h ago. Make sure that it is off"))
        #expect(notes.contains("warning: web1 runs on h2; define it there only"))
        #expect(notes.contains("warning: web1 is defined on h3; define it there only"))
        #expect(notes.contains("lacks secrets") && notes.contains("UEFI variables and TPM state were files on h1"))
        #expect(notes.contains("virsh autostart \(Self.vm)"))
    }
}

/// The command on a signed ledger.
@Suite(.timeLimit(.minutes(2))) struct DefinitionCommandTests {
    private static let vm = VMID("aaaaaaaa-0000-4000-8000-00000000000a")
    private let xml = "<domain type='kvm'>\n  <name>web1</name>\n</domain>\n"

    private func store(_ site: Site, by host: HostName, signedBy signer: HostName, at: Instant = .now) throws {
        guard case .signed(let key, _) = site.security(of: .host(signer)) else { return }
        let definition = VMDefinition(id: Self.vm, name: "web1", xml: xml, digest: "0123", startsWithHost: true)
        try DefinitionFolder(inLedger: site.folder)
            .write(DefinitionCopy(host: host, at: at, definition: definition), signedBy: key)
    }

    @Test func `a stored definition is listed, and printed exactly`() async throws {
        try await with { site in
            try store(site, by: h1, signedBy: h1)
            var claim = sample(h2, 1)
            claim.vms = [VMSample(id: Self.vm, name: "web1", state: .running)]
            try await site.open(.host(h2)).append(claim)
            let list = try await site.run(["definitions"])
            #expect(list.exitCode == 0 && list.standardOutput.contains(/web1 .*h1 .*valid/), "\(list)")
            let restored = try await site.run(["definitions", "restore", "web1"])
            #expect(restored.exitCode == 0 && restored.standardOutput == xml, "\(restored)")
            #expect(restored.standardError.contains("web1 runs on h2; define it there only"))
            let file = "\(site.folder)-web1.xml"
            let written = try await site.run(["definitions", "restore", Self.vm.rawValue, "--output", file])
            #expect(written.exitCode == 0 && written.standardOutput.isEmpty, "\(written)")
            #expect(try String(contentsOfFile: file, encoding: .utf8) == xml)
        }
    }

    @Test func `a definition that its host did not sign is listed as refused and not restored`() async throws {
        try await with { site in
            try store(site, by: h1, signedBy: h2)
            let list = try await site.run(["definitions", "--json"])
            #expect(list.exitCode == 0 && list.standardOutput.contains(#""code" : "wrong-signer""#), "\(list)")
            for name in [Self.vm.rawValue, "web1"] {
                let refused = try await site.run(["definitions", "restore", name])
                #expect(refused.exitCode == 1 && refused.standardOutput.isEmpty, "\(refused)")
            }
        }
    }
}

/// The VMs that are off on hosts to be emptied.
struct DrainedHostTests {
    private let now = Instant(milliseconds: 1_795_687_216_000)

    private func core(_ policy: Policy) -> ControllerCore {
        var core = ControllerCore(policy: policy)
        let vms: [(HostName, [VMSample])] = [
            (h1, [VMSample(id: VMID("id-old"), name: "old", state: .shutOff)]), (h2, []),
        ]
        for (host, its) in vms {
            var figures = LoadSample(host: host, at: now, cpu: CPULoad(capacityCores: 4, busyCores: 1), vms: its)
            figures.memory = MemoryLoad(totalBytes: 8 << 30, usedBytes: 1 << 30, availableBytes: 7 << 30)
            _ = core.handle(.sample(figures, at: now))
        }
        return core
    }

    @Test func `status names them on a host in maintenance`() throws {
        let view = FleetView(core(Policy(maintenance: [h1])), at: now)
        #expect(view.text().contains("h1: in maintenance, 0 active VMs to move; off, and not moved: old"))
        #expect(view.hosts.map(\.isInMaintenance) == [true, false])
        #expect(view.hosts.first?.inactive?.map(\.id) == [VMID("id-old")])
        #expect(!FleetView(core(Policy()), at: now).text().contains("maintenance"))
    }

    @Test func `plan names them on a host that is to be emptied`() throws {
        func view(_ mode: HostMode) -> PlanView {
            let snapshot = core(Policy()).snapshot(at: now)
            var model = FleetModel(snapshot, policy: Policy())
            for index in model.hosts.indices where model.hosts[index].name == h1 { model.hosts[index].mode = mode }
            let planner = Planner(policy: Policy())
            let input = FleetInput(name: "fleet", model: model, snapshot: snapshot, policy: Policy())
            return PlanView(planner.plan(for: model), of: input, planner: planner, seed: 0)
        }
        let drained = view(.maintenance)
        #expect(drained.inactive.map(\.host) == [h1] && drained.inactive.first?.vms.map(\.name) == ["old"])
        #expect(drained.text().contains("Off, and not moved from hosts that are to be emptied:\n  h1: old"))
        #expect(view(.active).inactive.isEmpty)
    }

    @Test func `explain names them with a code of their own`() {
        let vm = InactiveVM(id: VMID("id-old"), name: "old", state: .shutOff)
        let explanation = Explanation.inactive(h1, [vm])
        #expect(explanation.code == "inactive-vms")
        #expect(explanation.description == "these VMs of h1 are off and are not moved: old")
    }
}
