// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import FoundationEssentials

/// Power cuts of single hosts, as far as one machine can have them.
///
/// A host loses its processes, guests, network, firewall, /run and images in memory. Its files stay as the kernel has
/// them, so what the host had not synced is not lost.
extension HostLab {
    /// Cuts the power of a host and returns when; `powerOn` starts it again.
    func cutPower(of host: LabHost) async throws -> Instant {
        let network = LabNetwork(site: site)
        // First the network: no peer may see the end of a process.
        try await network.unplug(host.plan)
        try await cgroups.killAll(below: host.name.rawValue)
        let ended = Instant.now
        try await network.remove(host.plan)
        try await Blocking.run {
            let files = host.files
            for path in [files.holderPIDFile, files.viciSocket, files.sealedFolder, "\(host.folder)/run"] {
                try Files.remove(path)
            }
        }
        return ended
    }

    /// Whether the host has power.
    func isOn(_ host: LabHost) -> Bool { Files.exists(host.files.holderPIDFile) }

    /// Starts a host whose power was cut, without its agent.
    ///
    /// Its /proc/stat then shows this as the time of its boot.
    func powerOn(_ host: LabHost) async throws {
        let now = Int(Date.now.timeIntervalSince1970)
        let stat = try Files.text("/proc/stat").split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.hasPrefix("btime ") ? "btime \(now)" : $0 }
        try Files.write(stat.joined(separator: "\n"), to: "\(host.folder)/stat")
        try await LabNetwork(site: site).makeHost(host.plan)
        try await host.bringUp(kernelHasESP: kernelHasESP)
    }
}

extension LabNetwork {
    /// The bridge's port of the storage.
    static let storagePort = "store"

    /// Removes a host's cable.
    func unplug(_ plan: HostPlan) async throws { try await ip(site.lanNamespace, "link del \(plan.name)") }

    /// Removes a host's namespace, with its addresses and its firewall.
    func remove(_ plan: HostPlan) async throws {
        try await Command("ip", ["netns", "del", site.namespace(ofHost: plan.number)]).run()
    }

    /// Lets two ports of the LAN's bridge exchange nothing; both still reach all others.
    func separate(_ ports: [String], _ isSeparate: Bool = true) async throws {
        let state = isSeparate ? "on" : "off"
        // At the same time, because a phase may be short.
        try await withThrowingTaskGroup { group in
            for port in ports {
                group.addTask {
                    try await ip(site.lanNamespace, "link set dev \(port) type bridge_slave isolated \(state)")
                }
            }
            try await group.waitForAll()
        }
    }
}
