// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The configuration of a lab.
public struct LabPlan: Sendable, Codable, Equatable {
    public var hosts: [HostPlan]
    public var guests: [GuestPlan]

    public init(hosts: [HostPlan], guests: [GuestPlan]) {
        self.hosts = hosts
        self.guests = guests
    }

    /// Returns a plan with equal hosts `h1`, `h2`, …, and all guests `vm1`, `vm2`, … on the first.
    public static func allOnFirst(hosts: Int = 3, guests: Int = 6) -> LabPlan {
        LabPlan(
            hosts: (1...max(hosts, 1)).map { HostPlan(number: $0) },
            guests: guests < 1 ? [] : (1...guests).map { GuestPlan(number: $0, host: HostName("h1")) }
        )
    }

    /// Descriptions of problems with the plan; empty if it is valid.
    public var problems: [String] {
        var problems: [String] = []
        if hosts.isEmpty { problems.append("a lab needs at least one host") }
        if Set(hosts.map(\.number)).count < hosts.count { problems.append("two hosts have the same number") }
        if Set(guests.map(\.number)).count < guests.count { problems.append("two guests have the same number") }
        for host in hosts where !(1...99).contains(host.number) {
            problems.append("host number \(host.number) is not between 1 and 99")
        }
        for host in hosts where !(1...100_000).contains(host.linkMegabits ?? 1) {
            problems.append("the link rate of \(host.name) is \(host.linkMegabits ?? 0) Mbit/s")
        }
        for guest in guests where !(1...99).contains(guest.number) {
            problems.append("guest number \(guest.number) is not between 1 and 99")
        }
        for guest in guests where !hosts.contains(where: { $0.name == guest.host }) {
            problems.append("\(guest.name) starts on \(guest.host), which is not in the plan")
        }
        return problems
    }
}

/// One hypervisor host and its capacity.
public struct HostPlan: Sendable, Codable, Equatable {
    /// From 1: determines the name `h1` and the addresses 10.77.0.1 (LAN) and 10.78.0.1 (inner).
    public var number: Int
    /// CPU quota in cores.
    public var cores: Double
    /// Memory limit in bytes.
    public var memoryBytes: UInt64
    /// The rate of its link in each direction, in Mbit/s; `nil`: unlimited.
    public var linkMegabits: Int?

    public init(number: Int, cores: Double = 0.5, memoryBytes: UInt64 = 1536 << 20, linkMegabits: Int? = nil) {
        self.number = number
        self.cores = cores
        self.memoryBytes = memoryBytes
        self.linkMegabits = linkMegabits
    }

    public var name: HostName { HostName("h\(number)") }
}

/// One guest: a real Linux kernel whose only program works, checks itself and reports.
public struct GuestPlan: Sendable, Codable, Equatable {
    /// From 1: determines the name `vm1`, the address 10.77.0.101 and the disk's LUN.
    public var number: Int
    /// The host on which it starts.
    public var host: HostName
    public var memoryMiB: Int
    /// CPU time of a unit of work in microseconds; the guest tries to do ten units a second.
    ///
    /// The guest measures at boot how much work that is on this machine, so that hosts of the same size are overloaded
    /// by the same number of guests everywhere.
    public var unitMicroseconds: Int
    /// The amount of memory that it rewrites, in MiB per second.
    public var dirtyMiBPerSecond: Double
    /// Memory with constant data that a move must send, in MiB.
    ///
    /// `memoryMiB` must leave about 80 MiB in addition to it.
    public var fillMiB: Int

    /// Creates a guest that needs about 0.15 of a core by default, 0.09 of it for its units of work.
    ///
    /// Half a core is enough for two such guests, but not for three.
    public init(
        number: Int,
        host: HostName,
        memoryMiB: Int = 96,
        unitMicroseconds: Int = 9_000,
        dirtyMiBPerSecond: Double = 0.5,
        fillMiB: Int = 0
    ) {
        self.number = number
        self.host = host
        self.memoryMiB = memoryMiB
        self.unitMicroseconds = unitMicroseconds
        self.dirtyMiBPerSecond = dirtyMiBPerSecond
        self.fillMiB = fillMiB
    }

    public var name: String { "vm\(number)" }
    public var uuid: VMID { VMID("5eaf00d0-0000-4000-8000-\(hexadecimal(UInt64(number), digits: 12))") }
    public var address: String { LabSite.address(ofGuest: number) }
    /// Units of work per second of an unconstrained guest.
    public static let fullRate = 10.0

    var seed: UInt64 { 0xe7e0_ee1a_0000_0000 | UInt64(number) }

    /// The secret in the guest's memory.
    ///
    /// The guest computes it from its seed in the same way, so no definition and no file contains it: on the wire it
    /// can only come from a page of memory.
    public var marker: String {
        var state = seed ^ 0x6d61_726b_6572
        let first = mix(&state)
        let second = mix(&state)
        return "EVENKEEL-SECRET-\(hexadecimal(first, digits: 16))\(hexadecimal(second, digits: 16))"
    }
}

/// SplitMix64, as in guest.c.
func mix(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
}

func hexadecimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
