// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Escort

/// The fate of a stream in progress when the mesh changes.
extension RealMeshTests {
    private static let marker = "EVENKEEL-MARKER"

    @Test func `a host that leaves the mesh in the middle of a stream gets none of it in the clear`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            // Without the tunnel there is another path: h2 is the neighbour that would receive the stream.
            try await hosts.on(1, "ip route add default via \(hosts.address(2))")
            let capture = hosts.folder + "/leaves.pcap"
            try await hosts.startCapture(to: capture)
            try await hosts.beginStream(meshes)
            try await meshes[0].apply(hosts.inventory([1]))
            try await hosts.eventually("what is left of the stream is dropped here") {
                try await meshes[0].gateCounters().outbound.packets > 0
            }
            #expect(try await hosts.endCapture(capture, counting: Self.marker) == 0)
            try await expectLeak(hosts)
        }
    }

    @Test func `a mesh is not removed under a stream`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            let capture = hosts.folder + "/removed.pcap"
            try await hosts.startCapture(to: capture)
            try await hosts.beginStream(meshes)
            let error = await #expect(throws: EscortError.self) { try await meshes[0].remove() }
            #expect(error == .streamsUnderWay(to: ["\(hosts.inner(2)) port 49152"]))
            _ = try await meshes[0].establish(with: "h2")
            try await hosts.endStream()
            try await meshes[0].remove()
            #expect(try await hosts.endCapture(capture, counting: Self.marker) == 0)
        }
    }

    @Test(arguments: [IPAddress.Family.v4, .v6])
    func `the agent's next run can remove everything that this one created`(family: IPAddress.Family) async throws {
        try await Hosts.with(2, family: family) { hosts in
            let list = "ip -o addr show dev lo; ip rule; ip -4 route; ip -6 route; nft list tables"
            let before = try await hosts.on(1, list)
            _ = try await hosts.meshes()
            #expect(try await hosts.on(1, list).contains(hosts.inner(1)))
            let later = try hosts.mesh(1)
            try await later.apply(hosts.inventory())
            try await later.remove()
            #expect(try await hosts.on(1, list) == before)
        }
    }

    @Test func `a child SA that was lost alone is opened again`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            _ = try await hosts.swanctl(1, "--terminate --child evenkeel-h2")
            #expect(try await meshes[0].meshStatus().map(\.isUp) == [false])
            try await hosts.eventually("it is there again", within: .seconds(20)) {
                try await meshes[0].apply(hosts.inventory())
                return try await meshes[0].meshStatus().allSatisfy(\.isUp)
            }
            // One, and no second one.
            let list = try await hosts.swanctl(1, "--list-sas --pretty")
            #expect(list.split(separator: "state = INSTALLED").count == 2, "\(list)")
        }
    }

    /// Requires that without the gate the stream's retransmissions do leave in the clear, so the gate held them back.
    private func expectLeak(_ hosts: Hosts) async throws {
        let open = hosts.folder + "/open.pcap"
        try await hosts.startCapture(to: open)
        try await hosts.on(1, "nft delete table inet evenkeel")
        try await hosts.on(1, "sleep 6")
        #expect(try await hosts.endCapture(open, counting: Self.marker) > 0)
    }
}

extension Hosts {
    /// Sends markers from host 1 to a migration port of host 2 until `endStream`; returns when they flow.
    fileprivate func beginStream(_ meshes: [Mesh]) async throws {
        let port = Channel.defaultMigrationPorts.lowerBound
        let address = inner(2)
        try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .ipsec, window: .seconds(60))
        _ = try await Transfer.start(self, to: address, port)
        try await shell(
            """
            ip netns exec \(namespace(1)) bash -c 'exec yes EVENKEEL-MARKER > /dev/tcp/\(address)/\(port)' \
            > /dev/null 2>&1 < /dev/null &
            echo $! > \(folder)/stream.pid
            """
        )
        let meter = try await meshes[0].beginMove("h2")
        try await eventually("it flows") { await meter.observe().bytes > 1 << 20 }
    }

    fileprivate func endStream() async throws {
        try await shell(
            "kill -9 $(cat \(folder)/stream.pid); while [ -d /proc/$(cat \(folder)/stream.pid) ]; do sleep 0.02; done"
        )
        try await eventually("the connection is closed") {
            try await on(1, "ss -Htn state connected exclude time-wait").trimmed.isEmpty
        }
    }
}
