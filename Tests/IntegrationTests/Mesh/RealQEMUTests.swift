// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import Testing

@testable import Escort

/// QEMU's own migrations with paused guests; only their memory matters here.
extension RealMeshTests {
    @Test(.enabled(if: Hosts.canRunQEMU))
    func `the memory of a QEMU guest arrives whole, and none of it is on the LAN`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .ipsec, window: .seconds(120))
            let protectedPath = try await Channels(mesh: meshes[0], tls: nil, configured: [.ipsec])
                .open(.ipsec, to: "h2", timeLimit: .seconds(8), window: .seconds(120))
            let (sent, hits) = try await hosts.migrate(to: hosts.inner(2))
            #expect(hits == 0)
            let evidence = await protectedPath.end(hypervisorBytes: sent)
            #expect(evidence.verdict == .covered && evidence.droppedAtGates == 0)
            print("\(sent) bytes by QEMU, \(evidence.bytesOnPath ?? 0) through the SA")

            // Without the mesh the memory is readable on the LAN.
            for mesh in meshes { try await mesh.remove() }
            #expect(try await hosts.migrate(to: hosts.address(2)).hits > 0)
        }
    }
}

extension Hosts {
    fileprivate static var canRunQEMU: Bool {
        let program = "/usr/bin/qemu-system-x86_64"
        if access(program, X_OK) != 0 { print("skipped, as this is missing: \(program)") }
        return access(program, X_OK) == 0
    }

    /// Moves a guest of 64 MiB, with 16 MiB of markers, from host 1 to host 2.
    ///
    /// Returns the bytes that QEMU sent and the number of markers on the LAN.
    fileprivate func migrate(to address: String) async throws -> (sent: UInt64, hits: Int) {
        let name = "\(folder)/qemu"
        let marker = "EVENKEEL-MARKER"
        let destination = "tcp:\(family == .v4 ? address : "[\(address)]"):\(Channel.defaultMigrationPorts.lowerBound)"
        let size = 16 << 20
        let qemu =
            "qemu-system-x86_64 -no-user-config -nodefaults -M q35 -accel tcg -display none -m 64 -S -monitor stdio"
        try await shell(
            """
            set -e; rm -rf \(name); mkdir \(name); mkfifo \(name)/in
            yes \(marker) | head -c \(size) > \(name)/memory
            ip netns exec \(namespace(2)) \(qemu) -incoming \(destination) < \(name)/in > \(name)/target 2>&1 &
            echo $! > \(name)/pid
            # Holds the monitor open.
            sleep 120 > \(name)/in < /dev/null 2> /dev/null & echo $! > \(name)/holder
            """
        )
        try await eventually("the target listens", within: .seconds(60)) {
            try await on(2, "ss -Hltn").contains(":\(Channel.defaultMigrationPorts.lowerBound) ")
        }
        try await startCapture(to: name + "/pcap")
        let said = try await shell(
            """
            printf '%s\\n' 'migrate \(destination)' 'info migrate' quit | ip netns exec \(namespace(1)) \(qemu) \
            -device loader,file=\(name)/memory,addr=0x1000000,force-raw=on | tr -d '\\r'
            """,
            timeLimit: .seconds(120)
        )
        let hits = try await endCapture(name + "/pcap", counting: marker)
        #expect(said.contains("Migration status: completed"), "\(said)")
        try await shell(
            """
            printf '%s\\n' 'pmemsave 0x1000000 \(size) "\(name)/arrived"' quit > \(name)/in
            kill $(cat \(name)/holder); while [ -d /proc/$(cat \(name)/pid) ]; do sleep 0.02; done
            cmp \(name)/memory \(name)/arrived
            """
        )
        let line = try #require(said.split(separator: "\n").first { $0.hasPrefix("transferred ram:") })
        let kibibytes = try #require(line.split(separator: " ").compactMap { UInt64($0) }.first)
        return (kibibytes * 1024, hits)
    }
}
