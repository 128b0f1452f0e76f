// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A running lab: its hosts and guests.
///
/// It is a value: any process can attach to the lab by its site, and reads everything from the lab itself.
public struct HostLab: Sendable {
    let state: LabState
    let cgroups: Cgroups

    public var site: LabSite { state.site }
    public var plan: LabPlan { state.plan }
    /// `qemu` (software emulation) or `kvm`.
    public var domainType: String { state.domainType }
    /// Whether IPsec runs in the kernel (`true`) or in charon.
    public var kernelHasESP: Bool { state.kernelHasESP }
    public var guests: [GuestPlan] { state.plan.guests }

    init(state: LabState) {
        self.state = state
        cgroups = Cgroups(layout: state.cgroups, name: state.site.name)
    }

    /// Returns one line for each requirement that this machine lacks, with the fix; empty if a lab is possible.
    public static func missingRequirements() async -> [String] { await Requirements.missing() }

    /// Attaches to the running lab of a site, whichever process started it.
    public static func attach(to site: LabSite = LabSite()) throws -> HostLab {
        HostLab(state: try LabState.load(site))
    }

    public var hosts: [LabHost] {
        plan.hosts.map { LabHost(files: HostFiles(site: site, plan: $0, cgroups: cgroups)) }
    }

    public func host(_ name: HostName) throws -> LabHost {
        guard let host = hosts.first(where: { $0.name == name }) else { throw LabError.noSuchHost(name.rawValue) }
        return host
    }

    public func guest(_ name: String) throws -> GuestPlan {
        guard let guest = guests.first(where: { $0.name == name }) else { throw LabError.noSuchGuest(name) }
        return guest
    }

    /// The inventory for the configuration of agents and controller.
    public var inventory: Inventory { Inventory(hosts: hosts.map(\.inventoryEntry)) }
}
