// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Lab

struct GuestTests {
    private let guest = GuestPlan(number: 3, host: HostName("h1"), unitMicroseconds: 9_000, dirtyMiBPerSecond: 0.25)

    @Test func `the definition names only the shared paths and devices`() {
        let xml = GuestDefinition(guest: guest, site: LabSite(), domainType: "qemu").xml
        #expect(xml.hasPrefix("<domain type='qemu'>"))
        #expect(xml.contains("<uuid>5eaf00d0-0000-4000-8000-000000000003</uuid>"))
        #expect(xml.contains("<source protocol='iscsi' name='iqn.2026-01.lab.evenkeel:disks/3'>"))
        #expect(xml.contains("<driver name='qemu' type='raw' cache='none'/>"))
        #expect(xml.contains("<source path='/var/lib/evenkeel-lab/consoles/vm3.log' append='on'/>"))
        #expect(xml.contains("<mac address='52:54:00:77:00:03'/>"))
        #expect(xml.contains("ek.address=10.77.0.103 ek.unit=9000 ek.dirty=0.25</cmdline>"))
        #expect(xml.contains("<tb-cache unit='MiB'>32</tb-cache>"))
        #expect(!GuestDefinition(guest: guest, site: LabSite(), domainType: "kvm").xml.contains("tb-cache"))
    }

    @Test func `the marker is not in the definition`() {
        let xml = GuestDefinition(guest: guest, site: LabSite(), domainType: "qemu").xml
        #expect(guest.marker.hasPrefix("EVENKEEL-SECRET-"))
        #expect(guest.marker.utf8.count == 48)
        #expect(!xml.contains("EVENKEEL-SECRET"))
        #expect(!xml.contains(guest.marker.dropFirst("EVENKEEL-SECRET-".count)))
    }

    @Test func `the marker equals the guest program's`() {
        // Printed by a guest with this seed.
        let first = GuestPlan(number: 1, host: HostName("h1"))
        #expect(first.marker == "EVENKEEL-SECRET-0f16557ad25c5a0feaebb1a195f2a899")
    }

    @Test func `an inconsistent plan lists its problems`() {
        var plan = LabPlan.allOnFirst(hosts: 2, guests: 2)
        #expect(plan.problems.isEmpty)
        plan.guests[1].number = 1
        plan.guests[0].host = HostName("h9")
        #expect(
            plan.problems == ["two guests have the same number", "vm1 starts on h9, which is not in the plan"]
        )
        #expect(LabPlan(hosts: [], guests: []).problems == ["a lab needs at least one host"])
    }

    @Test func `an unbroken ring on the disk is valid`() {
        let disk = GuestDisk(ring: Self.ring(sequences: 1...300), seed: 7)
        #expect(disk.highest == 300)
        #expect(disk.problems.isEmpty)
        #expect(GuestDisk(ring: Self.ring(sequences: 1...5), seed: 7).problems.isEmpty)
    }

    @Test func `an unwritten disk is valid and at zero`() {
        let disk = GuestDisk(ring: [UInt8](repeating: 0, count: 128 << 10), seed: 7)
        #expect(disk == GuestDisk(ring: Self.ring(sequences: []), seed: 7))
        #expect(disk.highest == 0)
        #expect(disk.problems.isEmpty)
    }

    @Test func `a damaged sector and a missing number are found`() {
        var ring = Self.ring(sequences: 1...300)
        ring[40 * 512 + 100] ^= 1
        #expect(
            GuestDisk(ring: ring, seed: 7).problems
                == ["sector 40 has a wrong checksum", "record 296 of 300 is missing"]
        )
        let gap = GuestDisk(ring: Self.ring(sequences: [1, 2, 4]), seed: 7)
        #expect(gap.problems == ["record 3 of 4 is missing"])
    }

    @Test func `a record that the guest had reported must be on its disk`() {
        let disk = GuestDisk(ring: Self.ring(sequences: 1...300), seed: 7)
        #expect(disk.loss(reported: 300) == nil && disk.loss(reported: nil) == nil)
        #expect(disk.loss(reported: 301) != nil)
    }

    /// Returns a disk's first sectors after the guest wrote these numbers.
    private static func ring(sequences: some Sequence<UInt64>) -> [UInt8] {
        var ring = [UInt8](repeating: 0, count: 128 << 10)
        for sequence in sequences {
            var words: [UInt64] = [0x3130_4b53_4944_4b45, 7, sequence] + [UInt64](repeating: sequence &* 3, count: 60)
            words.append(words.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ $1) &* 0x100_0000_01b3 })
            let offset = Int(sequence % 256) * 512
            for (index, word) in words.enumerated() {
                for byte in 0..<8 { ring[offset + index * 8 + byte] = UInt8(truncatingIfNeeded: word >> (8 * byte)) }
            }
        }
        return ring
    }
}
