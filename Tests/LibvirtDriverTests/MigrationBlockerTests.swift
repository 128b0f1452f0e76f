// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import LibvirtDriver

/// What in a definition ties a VM to its host.
@Suite struct MigrationBlockerTests {
    private func blockers(
        _ devices: String = "",
        type: String = "kvm",
        more: String = ""
    ) throws -> [PreflightFailure.HypervisorReason] {
        try DomainDefinition(
            xml: """
                <domain type='\(type)' id='3'>
                  <name>web1</name><uuid>aaaaaaaa-0000-4000-8000-000000000001</uuid>
                  <memory unit='KiB'>262144</memory><vcpu>2</vcpu>
                  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
                  \(more)
                  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>\(devices)</devices>
                </domain>
                """
        ).migrationBlockers
    }

    @Test func `an ordinary VM can move`() throws {
        let devices = """
            <disk type='network' device='disk'>
              <driver name='qemu' type='raw' cache='none'/>
              <source protocol='iscsi' name='iqn.2026-01.org.example:d0/1'><host name='10.0.0.9'/></source>
              <target dev='vda' bus='virtio'/>
            </disk>
            <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
            <interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
            <shmem name='own' role='master'><model type='ivshmem-plain'/></shmem>
            <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
            """
        #expect(try blockers(devices) == [])
        #expect(
            try blockers(devices, more: "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>")
                == []
        )
    }

    @Test(arguments: [("", true), ("persistent_state='no'", true), ("persistent_state='yes'", false)])
    func `libvirt keeps the state of a TPM only on request`(attribute: String, isLost: Bool) throws {
        let definition = try DomainDefinition(
            xml: """
                <domain type='kvm'><name>web1</name><devices>
                  <tpm model='tpm-crb'><backend type='emulator' version='2.0' \(attribute)/></tpm>
                </devices></domain>
                """
        )
        #expect(definition.losesTPMState == isLost)
    }

    @Test(arguments: [
        ("", "", 3), ("<nvram>/v.fd</nvram>", "", 2), ("<loader type='pflash'>/code.fd</loader>", "", 2),
        ("", "<tpm model='tpm-crb'><backend type='emulator'/></tpm>", 1),
        ("", "<tpm model='tpm-crb'><backend type='emulator' persistent_state='yes'/></tpm>", 3),
    ]) func `an older libvirt never undefines a VM together with its NVRAM or TPM state`(
        firmware: String,
        devices: String,
        attempts: Int
    ) throws {
        let definition = try DomainDefinition(
            xml: """
                <domain type='kvm'><name>web1</name><os><type>hvm</type>\(firmware)</os>
                  <devices>\(devices)</devices></domain>
                """
        )
        // `KEEP_NVRAM` is 8, `KEEP_TPM` 64.
        let all: [UInt32] = [8 | 64, 8, 0]
        #expect(definition.undefineFlags == Array(all.prefix(attempts)))
    }

    @Test func `a writable disk with a host cache is unsafe`() throws {
        let disk = { (driver: String, more: String) in
            "<disk type='file'>\(driver)<source file='/srv/a'/><target dev='vda'/>\(more)</disk>"
        }
        #expect(try blockers(disk("<driver cache='none'/>", "")) == [])
        #expect(try blockers(disk("<driver cache='directsync'/>", "")) == [])
        #expect(try blockers(disk("", "<readonly/>")) == [])
        #expect(try blockers(disk("", "")) == [.unsafeCache(disk: "vda", mode: "default")])
        #expect(try blockers(disk("<driver cache='unsafe'/>", "")) == [.unsafeCache(disk: "vda", mode: "unsafe")])
        #expect(try blockers(disk("", ""), type: "xen") == [], "Xen's back ends bypass the host's cache")
    }

    @Test(arguments: [
        ("<hostdev mode='subsystem' type='pci'><source/></hostdev>", "pci"),
        ("<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source/></hostdev>", "mdev"),
        ("<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/></source></hostdev>", "usb"),
        ("<hostdev mode='capabilities' type='storage'><source/></hostdev>", "storage"),
        ("<interface type='hostdev'><source/></interface>", "interface"),
    ]) func `a device of the host ties the VM to it`(device: String, kind: String) throws {
        #expect(try blockers(device) == [.hostDevice(kind)])
    }

    @Test(arguments: [
        "<hostdev mode='subsystem' type='pci'><source/><teaming type='transient' persistent='ua-1'/></hostdev>",
        "<hostdev mode='subsystem' type='usb'><source startupPolicy='optional'/></hostdev>",
    ]) func `a device that libvirt detaches for a move does not tie the VM`(device: String) throws {
        #expect(try blockers(device) == [])
    }

    @Test func `a folder of the host ties the VM to it`() throws {
        let folder = """
            <filesystem type='mount'><driver type='virtiofs'/><source dir='/srv/x'/><target dir='share'/></filesystem>
            """
        #expect(try blockers(folder) == [.sharedFolder("share")])
    }

    @Test(arguments: ["sev", "sev-snp", "tdx", "s390-pv"])
    func `a confidential guest cannot move`(type: String) throws {
        #expect(try blockers(more: "<launchSecurity type='\(type)'/>") == [.confidentialGuest(type)])
    }

    @Test func `other devices that libvirt does not migrate tie the VM`() throws {
        let disk = "<disk type='file'><driver cache='none'/><source file='/a'/><target dev='vdb'/><transient/></disk>"
        #expect(try blockers(disk) == [.nonMigratableDevice(.transientDisk("vdb"))])
        #expect(try blockers("<shmem name='peer' role='peer'/>") == [.nonMigratableDevice(.sharedMemory("peer"))])
        #expect(try blockers("<tpm><backend type='passthrough'/></tpm>") == [.nonMigratableDevice(.hostTPM)])
    }

    @Test func `an invariant TSC needs a frequency`() throws {
        let cpu = "<cpu mode='host-model'><feature policy='require' name='invtsc'/></cpu>"
        #expect(try blockers(more: cpu) == [.nonMigratableDevice(.invariantTSC)])
        let clock = "<clock offset='utc'><timer name='tsc' frequency='2500000000'/></clock>"
        #expect(try blockers(more: cpu + clock) == [])
        #expect(try blockers(more: cpu.replacing("require", with: "disable")) == [])
    }

    @Test func `several reasons are all named`() throws {
        let devices = """
            <disk type='file'><source file='/srv/a'/><target dev='vda'/></disk>
            <hostdev mode='subsystem' type='pci'><source/></hostdev>
            """
        #expect(try blockers(devices).count == 2)
    }
}
