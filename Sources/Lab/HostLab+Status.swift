// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The current state of a lab.
public struct LabStatus: Sendable, Codable {
    public var site: LabSite
    public var complete: Bool
    public var hosts: [HostStatus]
    public var guests: [GuestStatus]

    public struct HostStatus: Sendable, Codable {
        public var name: HostName
        public var address: String
        public var innerAddress: String
        public var capacity: HostCapacity
        /// CPU time used since the start, in seconds.
        public var cpuSecondsUsed: Double?
        public var libvirtd: [Int32]
        public var charon: [Int32]
        public var sshd: [Int32]
        public var agent: [Int32]
    }

    public struct GuestStatus: Sendable, Codable {
        public var name: String
        public var uuid: VMID
        /// `nil` if a host's libvirt did not answer.
        public var placement: GuestPlacement?
        /// Units of work per second, at most 10.
        public var rate: Double?
        /// The problem with its memory, disk or boot; `nil` if there is none.
        public var problem: String?
    }
}

extension HostLab {
    public func status() async -> LabStatus {
        let placement = try? await placement()
        return LabStatus(
            site: site,
            complete: state.complete,
            hosts: hosts.map { host in
                LabStatus.HostStatus(
                    name: host.name,
                    address: host.address,
                    innerAddress: host.innerAddress,
                    capacity: host.capacity,
                    cpuSecondsUsed: try? host.capacity.cpuSecondsUsed(),
                    libvirtd: host.processes(of: "libvirtd"),
                    charon: host.processes(of: "charon"),
                    sshd: host.processes(of: "sshd"),
                    agent: host.processes(of: "agent")
                )
            },
            guests: guests.map { guest in
                let console = try? console(of: guest)
                let last = console?.readings.last
                return LabStatus.GuestStatus(
                    name: guest.name,
                    uuid: guest.uuid,
                    placement: placement?[guest.name],
                    rate: last?.rate,
                    problem: last?.memoryProblem ?? last?.diskProblem ?? console?.errors.first
                )
            }
        )
    }
}
