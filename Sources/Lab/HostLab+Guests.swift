// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension HostLab {
    /// Defines the guest on the host and starts it.
    public func start(_ guest: GuestPlan, on host: LabHost) async throws {
        let definition = GuestDefinition(guest: guest, site: site, domainType: domainType)
        let path = "\(site.stateFolder)/\(guest.name).xml"
        try Files.write(definition.xml, to: path)
        try await host.virsh(["define", path], timeLimit: .seconds(60))
        try await host.virsh(["start", guest.name], timeLimit: .seconds(60))
    }

    /// Waits until every guest has reported once.
    func waitForGuests(within limit: Duration = .seconds(180)) async throws {
        for guest in guests {
            try await waitUntil("guest \(guest.name)", within: limit, log: consolePath(of: guest)) {
                !(try console(of: guest).readings.isEmpty)
            }
        }
    }

    public func consolePath(of guest: GuestPlan) -> String {
        GuestDefinition(guest: guest, site: site, domainType: domainType).consolePath
    }

    /// Returns everything the guest printed so far; empty before its start.
    public func console(of guest: GuestPlan) throws -> ConsoleLog {
        let path = consolePath(of: guest)
        return ConsoleLog(parsing: Files.exists(path) ? try Files.text(path) : "")
    }

    /// Reads the guest's disk from the storage.
    public func disk(of guest: GuestPlan) async throws -> GuestDisk {
        try await GuestDisk.read(
            image: LabStorage(site: site, cgroups: cgroups).image(of: guest),
            seed: guest.seed
        )
    }

    /// Returns the location of each guest by name, as reported by every host's libvirt.
    ///
    /// During a migration a guest is active on two hosts but runs on only one, which `running` lists.
    public func placement() async throws -> [String: GuestPlacement] {
        var placement: [String: GuestPlacement] = [:]
        for guest in guests { placement[guest.name] = GuestPlacement() }
        for host in hosts {
            let active = try await host.virsh(["list", "--name"])
            let running = try await host.virsh(["list", "--state-running", "--name"])
            for name in active.split(whereSeparator: \.isWhitespace) {
                placement[String(name), default: GuestPlacement()].active.append(host.name)
            }
            for name in running.split(whereSeparator: \.isWhitespace) {
                placement[String(name), default: GuestPlacement()].running.append(host.name)
            }
        }
        return placement
    }

    /// Returns the hosts on which the guest runs; exactly one is correct.
    public func runsOn(_ guest: GuestPlan) async throws -> [HostName] {
        try await placement()[guest.name]?.running ?? []
    }
}

/// The hosts that have a guest.
public struct GuestPlacement: Sendable, Codable, Equatable {
    /// The hosts on which it is running or paused.
    public var active: [HostName] = []
    public var running: [HostName] = []
}
