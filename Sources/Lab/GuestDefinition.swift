// SPDX-License-Identifier: Apache-2.0

/// The libvirt definition of a guest: only the devices it needs, with paths and addresses that are the same on every
/// host.
public struct GuestDefinition: Sendable {
    var guest: GuestPlan
    var site: LabSite
    /// `qemu` or `kvm`.
    var domainType: String

    public init(guest: GuestPlan, site: LabSite, domainType: String) {
        self.guest = guest
        self.site = site
        self.domainType = domainType
    }

    /// Kernel arguments for a small guest on an overloaded host.
    ///
    /// `no_timer_check`, `lpj` and `clocksource`: a starved virtual CPU must neither fail the kernel's timer checks nor
    /// calibrate a clock that runs at the wrong speed. `init_on_free`: freed pages are zero, and zero pages cost almost
    /// nothing in a migration.
    static let kernelArguments =
        "console=ttyS0 quiet panic=-1 no_timer_check lpj=4000000 clocksource=hpet init_on_free=1"

    var consolePath: String { "\(site.consoleFolder)/\(guest.name).log" }

    /// Limits the cache of translated code to 32 MiB.
    ///
    /// QEMU's default for software emulation is far larger than so small a guest needs, and counts against the host's
    /// memory limit.
    private var translationCache: String {
        domainType == "kvm" ? "" : "<tcg><tb-cache unit='MiB'>32</tb-cache></tcg>"
    }

    public var xml: String {
        let seed = hexadecimal(guest.seed, digits: 16)
        let fill = guest.fillMiB > 0 ? " ek.fill=\(guest.fillMiB)" : ""
        let options =
            "ek.seed=\(seed) ek.address=\(guest.address) ek.unit=\(guest.unitMicroseconds) "
            + "ek.dirty=\(guest.dirtyMiBPerSecond)\(fill)"
        return """
            <domain type='\(domainType)'>
              <name>\(guest.name)</name>
              <uuid>\(guest.uuid)</uuid>
              <memory unit='MiB'>\(guest.memoryMiB)</memory>
              <vcpu>1</vcpu>
              <os>
                <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
                <kernel>\(site.bootFolder)/vmlinuz</kernel>
                <initrd>\(site.bootFolder)/initramfs.img</initrd>
                <cmdline>\(Self.kernelArguments) \(options)</cmdline>
              </os>
              <features><acpi/><apic/>\(translationCache)</features>
              <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
              <clock offset='utc'/>
              <on_poweroff>destroy</on_poweroff>
              <on_reboot>destroy</on_reboot>
              <on_crash>destroy</on_crash>
              <devices>
                <emulator>\(site.emulator)</emulator>
                <disk type='network' device='disk'>
                  <driver name='qemu' type='raw' cache='none'/>
                  <source protocol='iscsi' name='\(LabSite.targetName)/\(guest.number)'>
                    <host name='\(LabSite.storageAddress)' port='\(LabSite.storagePort)'/>
                  </source>
                  <target dev='vda' bus='virtio'/>
                </disk>
                <interface type='bridge'>
                  <mac address='52:54:00:77:00:\(hexadecimal(UInt64(guest.number), digits: 2))'/>
                  <source bridge='\(LabSite.bridge)'/>
                  <model type='virtio'/>
                </interface>
                <serial type='file'>
                  <source path='\(consolePath)' append='on'/>
                  <target port='0'/>
                </serial>
                <controller type='usb' model='none'/>
                <memballoon model='none'/>
                <video><model type='none'/></video>
              </devices>
            </domain>
            """
    }
}
