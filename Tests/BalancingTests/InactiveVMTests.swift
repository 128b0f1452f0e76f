// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

struct InactiveVMTests {
    private let now = Instant(milliseconds: 1_795_687_216_000)

    private func history(_ host: String, _ vms: [(String, VMState)]) -> HostHistory {
        let samples = vms.map { VMSample(id: VMID("id-\($0)"), name: $0, state: $1) }
        return HostHistory(name: HostName(host), samples: [LoadSample(host: HostName(host), at: now, vms: samples)])
    }

    @Test func `the VMs that are off on a host are named, with the host where they are active`() {
        let snapshot = FleetSnapshot(
            revision: 1,
            at: now,
            hosts: [
                history("h1", [("web", .running), ("old", .shutOff), ("broken", .crashed), ("moved", .shutOff)]),
                history("h2", [("moved", .running), ("other", .shutOff)]),
            ]
        )
        let inactive = snapshot.inactiveVMs(on: HostName("h1"))
        #expect(inactive.map(\.name) == ["broken", "moved", "old"])
        #expect(inactive.map(\.activeOn) == [nil, HostName("h2"), nil])
        #expect(inactive.map(\.description) == ["broken (crashed)", "moved (active on h2)", "old"])
        #expect(snapshot.inactiveVMs(on: HostName("h3")) == [])
    }
}
