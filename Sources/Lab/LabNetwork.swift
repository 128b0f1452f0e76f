// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Escort
internal import Fleet

/// The lab's namespaces and the wires between them.
///
///     ekl-lan: br0 ─┬─ veth ─ ekl-store: eth0 10.77.0.250
///                   ├─ veth ─ ekl-stranger: eth0 10.77.0.240, only for attacks from outside the mesh
///                   └─ veth ─ ekl-hN: eth0 ─ br0 10.77.0.N ─ the guests' taps
struct LabNetwork: Sendable {
    let site: LabSite

    static func namespaceFile(_ name: String) -> String { "/run/netns/\(name)" }

    func makeLAN() async throws {
        try await addNamespace(site.lanNamespace)
        try await ip(site.lanNamespace, "link add \(LabSite.bridge) type bridge forward_delay 0")
        try await ip(site.lanNamespace, "link set \(LabSite.bridge) up")
    }

    func makeStorage() async throws {
        try await addNamespace(site.storageNamespace)
        try await plug(site.storageNamespace, port: "store")
        try await ip(site.storageNamespace, "addr add \(LabSite.storageAddress)/24 dev eth0")
    }

    func makeHost(_ plan: HostPlan) async throws {
        let namespace = site.namespace(ofHost: plan.number)
        try await addNamespace(namespace)
        // The address exists from the start, the tunnels come later.
        try await ip(namespace, "addr add \(LabSite.innerAddress(ofHost: plan.number))/32 dev lo")
        // A fixed address: otherwise the bridge uses one of its ports' and changes it when guests arrive or leave.
        let mac = "52:54:00:78:00:\(hexadecimal(UInt64(plan.number), digits: 2))"
        try await ip(namespace, "link add \(LabSite.bridge) address \(mac) type bridge forward_delay 0")
        try await plug(namespace, port: plan.name.rawValue)
        if let rate = plan.linkMegabits {
            try await limit(namespace, "eth0", megabits: rate)
            try await limit(site.lanNamespace, plan.name.rawValue, megabits: rate)
        }
        try await ip(namespace, "link set eth0 master \(LabSite.bridge)")
        try await ip(namespace, "addr add \(LabSite.lanAddress(ofHost: plan.number))/24 dev \(LabSite.bridge)")
        try await ip(namespace, "link set \(LabSite.bridge) up")
    }

    /// Creates a machine on the LAN that does not belong to the mesh; does nothing if it exists.
    func makeStranger() async throws {
        guard !namespaces().contains(site.strangerNamespace) else { return }
        try await addNamespace(site.strangerNamespace)
        try await plug(site.strangerNamespace, port: "stranger")
        try await ip(site.strangerNamespace, "addr add \(LabSite.strangerAddress)/24 dev eth0")
    }

    /// Returns whether this kernel supports ESP; all namespaces share it.
    func kernelHasESP() async throws -> Bool { try await ESPImplementation.availableOnThisMachine() == .kernel }

    /// Returns the lab's existing namespaces.
    func namespaces() -> [String] {
        Files.entries("/run/netns").filter { $0.hasPrefix("\(site.shortName)-") }
    }

    func removeAll() async throws {
        for namespace in namespaces() { try await Command("ip", ["netns", "del", namespace]).run() }
    }

    private func addNamespace(_ name: String) async throws {
        try await Command("ip", ["netns", "add", name]).run()
        try await ip(name, "link set lo up")
    }

    private func plug(_ namespace: String, port: String) async throws {
        try await ip(site.lanNamespace, "link add \(port) type veth peer name eth0 netns \(namespace)")
        try await ip(site.lanNamespace, "link set \(port) master \(LabSite.bridge) up")
        try await ip(namespace, "link set eth0 up")
    }

    /// Limits a device's send rate; the burst holds several of the 64 KiB segments that TCP passes down at a time.
    private func limit(_ namespace: String, _ device: String, megabits: Int) async throws {
        let words = "qdisc add dev \(device) root tbf rate \(megabits)mbit burst 512kb latency 20ms"
        try await Command("tc", ["-n", namespace] + words.split(separator: " ").map(String.init)).run()
    }

    func ip(_ namespace: String, _ words: String) async throws {
        try await Command("ip", ["-n", namespace] + words.split(separator: " ").map(String.init)).run()
    }
}
