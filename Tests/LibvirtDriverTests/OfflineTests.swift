// SPDX-License-Identifier: Apache-2.0
import CLibvirt
import Fleet
import Hypervisor
import Testing

@testable import LibvirtDriver

/// Moves of VMs that are off.
@Suite(.timeLimit(.minutes(1))) struct OfflineTests {
    private func definition(_ devices: String = "", os: String = "", more: String = "") throws -> DomainDefinition {
        try DomainDefinition(
            xml: """
                <domain type='kvm'>
                  <name>web1</name><uuid>aaaaaaaa-0000-4000-8000-000000000001</uuid>
                  <memory unit='KiB'>262144</memory><vcpu>2</vcpu>
                  \(os.isEmpty ? "<os><type arch='x86_64'>hvm</type></os>" : os)\(more)
                  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>\(devices)</devices>
                </domain>
                """
        )
    }

    // MARK: definitions

    @Test func `what only memory needs does not tie a VM that is off to its host`() throws {
        let devices = """
            <disk type='file'><source file='/srv/a'/><target dev='vda'/></disk>
            <shmem name='shared' role='peer'><model type='ivshmem-plain'/></shmem>
            """
        let cpu = "<cpu mode='custom'><model>qemu64</model><feature name='invtsc' policy='require'/></cpu>"
        let definition = try definition(devices, more: cpu)
        #expect(definition.migrationBlockers.count == 3)
        #expect(definition.offlineBlockers == [])
    }

    @Test(arguments: [
        (
            "<hostdev mode='subsystem' type='pci'><source/></hostdev>",
            PreflightFailure.HypervisorReason.hostDevice("pci")
        ),
        ("<filesystem type='mount'><source dir='/srv'/><target dir='tag'/></filesystem>", .sharedFolder("tag")),
        ("<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>", .hostState(.tpm)),
        ("<tpm model='tpm-crb'><backend type='emulator' persistent_state='yes'/></tpm>", .hostState(.tpm)),
        ("<tpm model='tpm-tis'><backend type='passthrough'/></tpm>", .nonMigratableDevice(.hostTPM)),
    ])
    func `a device or TPM of the host ties a VM that is off to it`(
        device: String,
        reason: PreflightFailure.HypervisorReason
    ) throws {
        #expect(try definition(device).offlineBlockers == [reason])
    }

    /// libvirt states the path in the element's text, or in a source since 8.5.
    @Test(arguments: [
        "<nvram>/srv/web1.fd</nvram>", "<nvram template='/usr/share/OVMF_VARS.fd'>/srv/web1.fd</nvram>",
        "<nvram type='file'>\n<source file='/srv/web1.fd'/>\n</nvram>",
    ])
    func `UEFI variables in a file with a path are checked like a disk`(nvram: String) throws {
        let definition = try definition(os: "<os firmware='efi'><type>hvm</type>\(nvram)</os>")
        #expect(definition.firmwareVariables == ["/srv/web1.fd"])
        #expect(definition.offlineBlockers == [])
    }

    @Test(arguments: [
        "<os firmware='efi'><type>hvm</type></os>",
        "<os><type>hvm</type><nvram template='/usr/share/OVMF_VARS.fd'/></os>",
        "<os><type>hvm</type><nvram type='network'><source protocol='iscsi' name='iqn/0'/></nvram></os>",
    ])
    func `UEFI variables without a path tie the VM to its host`(os: String) throws {
        #expect(try definition(os: os).offlineBlockers == [.hostState(.firmwareVariables)])
    }

    @Test func `a VM that is off needs the CPU only if its definition names one`() throws {
        for mode in ["host-passthrough", "host-model", "maximum"] {
            #expect(try definition(more: "<cpu mode='\(mode)'/>").offlineCPU == nil)
        }
        #expect(try definition(more: "<cpu><model>qemu64</model></cpu>").offlineCPU?.contains("qemu64") == true)
        #expect(try definition().offlineCPU == nil)
    }

    // MARK: calls

    @Test func `libvirt receives the flags of an offline move, and none of a live one`() {
        let needed = [
            VIR_MIGRATE_OFFLINE, VIR_MIGRATE_PEER2PEER, VIR_MIGRATE_PERSIST_DEST, VIR_MIGRATE_UNDEFINE_SOURCE,
        ]
        #expect(OfflineCall.flags == needed.reduce(0) { $0 | $1.rawValue })
        #expect(MigrationTraits.of("qemu").movesOffline && !MigrationTraits.of("xen").movesOffline)
    }

    @Test func `an offline move sends no memory, and no statistics are looked for`() async throws {
        var calls = ScriptedCalls()
        calls.completed = {
            Issue.record("there is no completed job")
            return nil
        }
        calls.migration = { mayBegin in mayBegin() }
        let outcome = try await calls.run(isOffline: true).get()
        #expect(outcome.bytesTransferred == 0 && outcome.note == nil && outcome.downtimeSeconds == nil)
    }

    /// libvirt keeps the source's definition if the target's answer is lost, although the target may have it.
    @Test func `any error of a move that had begun leaves it in doubt`() async {
        var calls = ScriptedCalls()
        calls.migration = { mayBegin in
            _ = mayBegin()
            throw LibvirtError.operationFailed
        }
        calls.source = { .inactive }
        let result = await calls.run(isOffline: true)
        guard case .failure(let error) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(error.kind == .inDoubt && error.detail.contains("migration failed"))
    }
}
