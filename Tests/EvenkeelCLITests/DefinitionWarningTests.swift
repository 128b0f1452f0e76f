// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import EvenkeelCLI

/// What `evenkeel definitions restore` says about a definition that reaches beyond its VM.
struct DefinitionWarningTests {
    private func text(_ xml: String) -> String { DefinitionWarnings(xml).text.joined(separator: "\n") }

    private func text(devices: String) -> String { text("<domain><devices>\(devices)</devices></domain>") }

    @Test func `parts of a definition that reach the host are named`() {
        let text = text(
            """
            <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
              <devices><emulator>/tmp/qemu</emulator><disk><source file="/etc/shadow"/></disk>
                <interface type='hostdev'/><filesystem><source dir='/root'/></filesystem></devices>
              <qemu:commandline><qemu:arg value='-monitor'/></qemu:commandline>
            </domain>
            """
        )
        for part in ["qemu:commandline", "hostdev", "filesystem", "emulator", "/etc/shadow, /root, /tmp/qemu."] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(!text.contains("qemu:override"))
    }

    @Test func `nothing is said about a VM that reaches nothing, nor about the usual emulators`() {
        #expect(text("<domain><name>web1</name></domain>").isEmpty)
        for emulator in ["/usr/bin/qemu-system-x86_64", "/usr/bin/kvm", "/usr/lib/xen-4.17/bin/qemu-system-i386"] {
            #expect(!text(devices: "<emulator>\(emulator)</emulator>").contains("warning"), "\(emulator)")
        }
    }

    @Test(arguments: [
        "<domain xmlns:evil='URI'><evil:PART/></domain>", "<domain><PART xmlns='URI'/></domain>",
        "<domain xmlns:e='http://libvirt.org/schemas/domain/qemu&#47;1.0'><e:PART/></domain>",
    ])
    func `the namespace of QEMU counts, not its prefix`(form: String) {
        for part in ["commandline", "override"] {
            let xml = form.replacing("URI", with: "http://libvirt.org/schemas/domain/qemu/1.0")
                .replacing("PART", with: part)
            #expect(text(xml).contains("(qemu:\(part))"), "\(xml)")
        }
    }

    @Test func `another extension of the format is named with its namespace`() {
        let xml = "<domain xmlns:x='http://libvirt.org/schemas/domain/xen/1.0'><x:commandline/></domain>"
        #expect(text(xml).contains("(commandline of http://libvirt.org/schemas/domain/xen/1.0)"))
        let metadata = "<metadata><a:b xmlns:a='urn:a'><a:hostdev/>/etc/shadow</a:b></metadata>"
        #expect(text("<domain>\(metadata)</domain>").isEmpty, "libvirt only stores the metadata of applications")
        let others = "<x:metadata xmlns:x='urn:x'><hostdev/></x:metadata>"
        #expect(text("<domain>\(others)</domain>").contains("(hostdev)"))
    }

    @Test(arguments: [
        "<disk><source file='&#x2f;etc/shadow'/></disk>", "<disk><source\n file = \"&#47;etc/shadow\" /></disk>",
        "<disk><source x:file='/etc/shadow' xmlns:x='urn:x'/></disk>",
        "<emulator><![CDATA[/etc/shadow]]></emulator>", "<emulator><!-- no -->&#47;etc<a/>/shadow</emulator>",
        "<rng><backend>\n /etc/shadow\n</backend></rng>",
    ])
    func `a path is found however it is written`(devices: String) {
        #expect(text(devices: devices).contains("paths of the host: /etc/shadow"))
    }

    @Test func `relative paths, which QEMU opens too, are shown`() {
        #expect(text("<domain><os><kernel>etc/shadow</kernel></os></domain>").contains("host: etc/shadow."))
        #expect(text(devices: "<disk><source file='etc/shadow'/></disk>").contains("host: etc/shadow."))
    }

    @Test(arguments: [
        ("<hostdev mode='subsystem' type='pci'/>", "(hostdev)"), ("<x:hostdev xmlns:x='urn:x'/>", "(hostdev)"),
        ("<interface x:type='bridge' type='vdpa' y:type='user' xmlns:x='urn:x' xmlns:y='urn:y'/>", "(interface vdpa)"),
        ("<disk type='nvme'/>", "(disk nvme)"),
        ("<tpm><backend type='passthrough'/></tpm>", "(backend passthrough)"),
        ("<serial type='dev'/>", "(serial dev)"), ("<shmem name='a'/>", "(shmem)"),
        ("<interface><script path='/tmp/up'/></interface>", "(script)"),
        ("<filesystem><binary path='/tmp/fs'/></filesystem>", "(binary)"),
        ("<emulator>/usr/bin/qemu-system-x86_64/../sh</emulator>", "(emulator)"),
        ("<disk type='block' device='lun' rawio='yes'/>", "(rawio)"),
        ("<disk device='lun' sgio='unfiltered'/>", "(sgio)"),
    ])
    func `devices and programs of the host are named`(devices: String, part: String) {
        let text = text(devices: devices)
        #expect(text.hasPrefix("warning: the definition has ") && text.contains(part), "\(text)")
    }

    @Test func `labels that replace the confinement are named`() {
        for label in ["type='none'", "type='static' model='dac'", "model='dac' relabel='no'"] {
            #expect(text("<domain><seclabel \(label)/></domain>").contains("(seclabel)"), "\(label)")
        }
        let base = "<seclabel type='dynamic' model='selinux'><baselabel>u:r:unconfined_t:s0</baselabel></seclabel>"
        #expect(text("<domain>\(base)</domain>").contains("(seclabel)"))
        #expect(text("<domain><seclabel type='dynamic' model='apparmor' relabel='yes'/></domain>").isEmpty)
    }

    @Test func `networks, volumes and network storage are shown`() {
        let text = text(
            devices: """
                <interface type='bridge'><source bridge='br0'/></interface>
                <disk type='volume'><source pool='images' volume='db1'/></disk>
                <disk type='network'><source protocol='iscsi' name='iqn.x/1'><host name='10.0.0.9' port='3260'/></source></disk>
                <serial type='pty'><source path='/dev/pts/3'/></serial>
                """
        )
        let shown = "bridge=br0, name=iqn.x/1 protocol=iscsi name=10.0.0.9 port=3260, pool=images volume=db1."
        #expect(text.contains("networks, disks or devices: \(shown)"), "\(text)")
    }

    @Test func `a definition that is not XML, or has a document type, is not passed in silence`() {
        #expect(text("<domain>").contains("cannot be checked: not a well-formed XML document"))
        let entity = "<!DOCTYPE domain [<!ENTITY e '/etc/shadow'>]><domain><name>&e;</name></domain>"
        #expect(text(entity).contains("cannot be checked: the XML document has a DOCTYPE"))
    }

    @Test func `a long list is cut, and says so`() {
        let disks = (10..<35).map { "<disk><source file='/d\($0)'/></disk>" }.joined()
        #expect(text(devices: disks).contains("/d29 and 5 more. Check"))
    }
}
