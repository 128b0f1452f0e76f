// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import Testing

@testable import LibvirtDriver

@Suite struct DomainDefinitionTests {
    private func definition(
        devices: String = "",
        memory: String = "<memory unit='KiB'>262144</memory>",
        vcpu: String = "<vcpu placement='static' current='1'>2</vcpu>"
    ) throws
        -> DomainDefinition
    {
        try DomainDefinition(
            xml: """
                <domain type='kvm' id='3'>
                  <name>web1</name>
                  <uuid>AAAAAAAA-0000-4000-8000-000000000001</uuid>
                  \(memory)
                  \(vcpu)
                  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
                  <cpu mode='custom' match='exact' check='full'><model fallback='forbid'>Nehalem</model></cpu>
                  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>\(devices)</devices>
                </domain>
                """
        )
    }

    @Test func `the basic properties are read`() throws {
        let definition = try definition()
        #expect(definition.name == "web1")
        #expect(definition.uuid == "aaaaaaaa-0000-4000-8000-000000000001")
        #expect(definition.domainType == "kvm")
        #expect(definition.machine == "pc-q35-7.2")
        #expect(definition.architecture == "x86_64")
        #expect(definition.emulator == "/usr/bin/qemu-system-x86_64")
        #expect(try definition.vcpus() == 2)
        #expect(try definition.memoryBytes() == 256 << 20)
        #expect(definition.cpuXML?.contains("<model fallback=\"forbid\">Nehalem</model>") == true)
    }

    @Test(arguments: [
        ("<memory>1024</memory>", UInt64(1 << 20)), ("<memory unit='MiB'>3</memory>", 3 << 20),
        ("<memory unit='GB'>2</memory>", 2_000_000_000), ("<memory unit='b'>4096</memory>", 4096),
    ])
    func `memory is in bytes for every unit`(xml: String, bytes: UInt64) throws {
        #expect(try definition(memory: xml).memoryBytes() == bytes)
    }

    @Test(arguments: [
        "", "<memory>much</memory>", "<memory unit='furlong'>3</memory>", "<memory unit='TiB'>99999999999999</memory>",
        "<memory>0</memory>",
    ])
    func `unreadable memory is an error and not zero`(xml: String) throws {
        let definition = try definition(memory: xml)
        let error = #expect(throws: HypervisorError.self) { try definition.memoryBytes() }
        #expect(error?.detail.contains("<memory>") == true)
    }

    @Test(arguments: ["", "<vcpu>some</vcpu>", "<vcpu>0</vcpu>"])
    func `an unreadable VCPU count is an error and not zero`(xml: String) throws {
        let definition = try definition(vcpu: xml)
        let error = #expect(throws: HypervisorError.self) { try definition.vcpus() }
        #expect(error?.detail.contains("<vcpu>") == true)
    }

    @Test func `disks of every kind are named, and empty drives are not`() throws {
        let definition = try definition(
            devices: """
                <disk type='network' device='disk'>
                  <source protocol='iscsi' name='iqn.2026-01.org.example:d0/1'><host name='10.0.0.9'/></source>
                </disk>
                <disk type='network'><source protocol='rbd' name='pool/image'/></disk>
                <disk type='file'><source file='/srv/a.qcow2'/>
                  <backingStore type='file'><source file='/srv/base.qcow2'/><backingStore/></backingStore>
                </disk>
                <disk type='block'><source dev='/dev/disk/by-id/x'/></disk>
                <disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>
                """
        )
        #expect(
            definition.disks == [
                .iscsi(address: "10.0.0.9", port: 3260, iqn: "iqn.2026-01.org.example:d0", lun: 1),
                .other(type: "network", detail: "rbd pool/image"),
                .file(path: "/srv/a.qcow2"), .file(path: "/srv/base.qcow2"),
                .block(path: "/dev/disk/by-id/x", identity: nil),
            ]
        )
    }

    @Test func `files of disks are read and written, those of media and backing chains only read`() throws {
        let definition = try definition(
            devices: """
                <disk type='file'><source file='/srv/a.qcow2'/>
                  <backingStore type='file'><source file='/srv/base.qcow2'/><backingStore/></backingStore>
                </disk>
                <disk type='file' device='cdrom'><source file='/srv/cd.iso'/><readonly/></disk>
                <disk type='block'><source dev='/dev/disk/by-id/x'/></disk>
                """
        )
        #expect(
            definition.files == [
                DiskFile(path: "/srv/a.qcow2", isReadOnly: false),
                DiskFile(path: "/srv/base.qcow2", isReadOnly: true),
                DiskFile(path: "/srv/cd.iso", isReadOnly: true),
            ]
        )
    }

    @Test func `interfaces name their bridge or network`() throws {
        let definition = try definition(
            devices: """
                <interface type='bridge'><source bridge='br0'/></interface>
                <interface type='network'><source network='default' bridge='virbr0'/></interface>
                <interface type='user'/>
                """
        )
        #expect(definition.networks == [.bridge(name: "br0"), .network(name: "default"), .other(type: "user")])
    }

    @Test func `a document that is not a domain is refused`() {
        #expect(throws: (any Error).self) { try DomainDefinition(xml: "<network/>") }
    }

    @Test func `an external entity is not read`() throws {
        let xml = """
            <!DOCTYPE domain [<!ENTITY secret SYSTEM "file:///etc/hostname">]>
            <domain type='kvm'><name>&secret;</name></domain>
            """
        #expect((try? DomainDefinition(xml: xml))?.name ?? "" == "")
    }
}
