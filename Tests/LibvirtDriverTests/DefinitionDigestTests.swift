// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import LibvirtDriver

/// Changes that affect a VM's digest and changes that do not: each row is one change of the same definition.
@Suite struct DefinitionDigestTests {
    private func domain(
        root: String = "type='kvm'",
        head: String = "<memory unit='KiB'>262144</memory><currentMemory unit='KiB'>262144</currentMemory>",
        vcpu: String = "<vcpu>2</vcpu>",
        os: String = "<type arch='x86_64' machine='pc-q35-7.2'>hvm</type><cmdline>quiet</cmdline>",
        cpu: String = "<cpu mode='custom'><model fallback='forbid'>Nehalem</model></cpu>",
        emulator: String = "/usr/bin/qemu-system-x86_64",
        disk: String = "<source file='/srv/a'/><target dev='vda' bus='virtio'/>",
        interface: String = "<mac address='52:54:00:00:00:01'/><source network='default'/>",
        graphics: String = "<graphics type='vnc' port='5900' autoport='yes' listen='127.0.0.1'/>",
        console: String = "<console type='pty' tty='/dev/pts/2'><source path='/dev/pts/2'/></console>",
        more: String = ""
    ) throws -> String {
        let xml = """
            <domain \(root)>
              <name>web1</name><uuid>aaaaaaaa-0000-4000-8000-000000000001</uuid>\(head)\(vcpu)
              <os>\(os)</os>\(cpu)
              <devices>
                <emulator>\(emulator)</emulator>
                <disk type='file' device='disk'>\(disk)</disk>
                <interface type='network'>\(interface)</interface>
                \(graphics)\(console)
              </devices>\(more)
            </domain>
            """
        return try DomainDefinition(xml: xml).digest
    }

    @Test func `the digest has 64 hexadecimal digits and is reproducible`() throws {
        let digest = try domain()
        #expect(digest.count == 64 && digest.allSatisfy { "0123456789abcdef".contains($0) })
        #expect(try domain() == digest)
    }

    @Test func `the digest is the SHA-256 of the canonical text`() throws {
        let definition = try DomainDefinition(xml: "<domain type='kvm' id='3'><name>a&quot;b</name></domain>")
        #expect(definition.canonicalText == #"<domain type="kvm"><name>"a\"b"</name></domain>"#)
        // Computed with sha256sum.
        #expect(definition.digest == "988eae43167225735eb7dd8997f169f91ae7208c52d79776d6ffdeb8b286b2e4")
    }

    @Test func `parts that change by themselves do not affect the digest`() throws {
        let digest = try domain()
        #expect(try domain(root: "type='kvm' id='7'") == digest)
        let balloon = "<memory unit='KiB'>262144</memory><currentMemory unit='KiB'>131072</currentMemory>"
        #expect(try domain(head: balloon) == digest)
        let address = "<source file='/srv/a' index='3'/><target dev='vda' bus='virtio'/><alias name='virtio-disk0'/>"
        #expect(try domain(disk: address) == digest)
        let port = "<source network='default' portid='0b' bridge='virbr1'/><target dev='vnet4'/>"
        #expect(try domain(interface: "<mac address='52:54:00:00:00:01'/>\(port)") == digest)
        #expect(try domain(graphics: "<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>") == digest)
        #expect(try domain(console: "<console type='pty'/>") == digest)
        let labels =
            "<seclabel type='dynamic' model='apparmor'><label>libvirt-1</label></seclabel>"
            + "<resource><partition>/machine</partition></resource><metadata><x>1</x></metadata>"
        #expect(try domain(more: labels) == digest)
    }

    @Test func `the order of attributes and white space do not affect the digest`() throws {
        #expect(
            try domain(cpu: "<cpu mode='custom'>\n <model   fallback='forbid'>Nehalem </model>\n</cpu>") == domain()
        )
        #expect(try domain(disk: "<source file='/srv/a'/><target bus='virtio' dev='vda'/>") == domain())
    }

    @Test func `every change of the machine changes the digest`() throws {
        let digests = [
            try domain(),
            try domain(root: "type='qemu'"),
            try domain(head: "<memory unit='KiB'>262145</memory>"),
            try domain(vcpu: "<vcpu>3</vcpu>"),
            try domain(vcpu: "<vcpu current='1'>2</vcpu>"),
            try domain(os: "<type arch='x86_64' machine='pc-q35-7.1'>hvm</type><cmdline>quiet</cmdline>"),
            try domain(os: "<type arch='x86_64' machine='pc-q35-7.2'>hvm</type><cmdline>init=/bin/sh</cmdline>"),
            try domain(cpu: "<cpu mode='host-passthrough'/>"),
            try domain(emulator: "/tmp/qemu"),
            try domain(disk: "<source file='/srv/b'/><target dev='vda' bus='virtio'/>"),
            try domain(disk: "<source file='/srv/a'/><target dev='vda' bus='virtio'/><readonly/>"),
            try domain(interface: "<mac address='52:54:00:00:00:02'/><source network='default'/>"),
            try domain(interface: "<mac address='52:54:00:00:00:01'/><source network='other'/>"),
            try domain(interface: "<mac address='52:54:00:00:00:01'/><source network='default'/><target dev='tap0'/>"),
            try domain(graphics: "<graphics type='vnc' port='5901' autoport='no' listen='127.0.0.1'/>"),
            try domain(console: "<console type='file'><source path='/srv/log'/></console>"),
            try domain(more: "<memoryBacking><locked/></memoryBacking>"),
        ]
        #expect(Set(digests).count == digests.count)
    }

    @Test func `text that looks like markup does not count as markup`() throws {
        let text = try DomainDefinition(xml: "<domain><a>&lt;b&gt;&lt;/b&gt;</a></domain>").digest
        let element = try DomainDefinition(xml: "<domain><a><b></b></a></domain>").digest
        #expect(text != element)
    }
}
