// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Glibc
import Testing

@testable import Escort

extension RealMeshTests {
    @Test func `the evidence covers a transfer with rekeying and a path proof in its middle`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            let first = try await meshes[0].establish(with: "h2")
            let size: UInt64 = 128 << 20
            let address = hosts.inner(2)
            let transfer = try await Transfer.start(hosts, to: address)
            let meter = try await meshes[0].beginMove("h2")
            let began = ContinuousClock.now
            async let sending: String = hosts.on(
                1,
                "head -c \(size) /dev/zero > /dev/tcp/\(address)/\(Transfer.port)",
                timeLimit: .seconds(120)
            )
            try await hosts.eventually("some of it went through") { await meter.observe().bytes > size / 4 }
            _ = try await hosts.swanctl(1, "--rekey --child evenkeel-h2")
            let proof = ContinuousClock.now
            _ = try await meshes[0].establish(with: "h2")
            print("a proof while the tunnel is full took \(ContinuousClock.now - proof)")
            let observation = await meter.observe()
            #expect(observation.isUp, "\(observation)")
            _ = try await sending
            #expect(try await transfer.received() == size)
            let took = (ContinuousClock.now - began).inSeconds
            let evidence = await meter.end(hypervisorBytes: size)
            let tunnel = try #require(evidence.bytesOnPath)
            print(
                "\(size) bytes in \(took) s, \(Double(size) * 8 / took / 1e9) Gbit/s; tunnel bytes \(tunnel),"
                    + " \(Double(tunnel) / Double(size)) of the payload"
            )
            #expect(evidence.verdict == .covered)
            // Headers are 4 %; the rest are TCP retransmissions, as user-space ESP drops packets on busy CPUs.
            #expect(tunnel < size * 2)
            #expect(evidence.proof.association?.outboundSPI != first.outboundSPI)
            let counters = try #require(evidence.proof.counters)
            #expect(counters.before == TrafficCounters(bytes: 0, packets: 0))
            #expect(counters.after.bytes > 0 && counters.after.bytes < tunnel)
            #expect(evidence.droppedAtGates == 0)
        }
    }

    @Test func `bytes outside the tunnel are a leak, and drops at the gates are reported`() async throws {
        try await Hosts.with(3) { hosts in
            let mesh = try hosts.mesh(1)
            for each in [mesh, try hosts.mesh(2)] { try await each.apply(hosts.inventory([1, 2])) }
            _ = try await mesh.establish(with: "h2")
            let meter = try await mesh.beginMove("h2")
            let transfer = try await Transfer.start(hosts, to: hosts.address(2))
            try await hosts.on(1, "head -c 1000000 /dev/zero > /dev/tcp/\(hosts.address(2))/\(Transfer.port)")
            #expect(try await transfer.received() == 1_000_000)

            try await hosts.on(3, "ip route add \(hosts.inner(1)) via \(hosts.address(1))")
            let probe = "(exec 3<>/dev/tcp/\(hosts.inner(1))/9) 2>&1 || true"
            await #expect(throws: (any Error).self) { try await hosts.on(3, probe, timeLimit: .seconds(2)) }

            // When the migration ends, the observation in progress is cancelled.
            await withTaskGroup(of: PathObservation.self) { group in
                group.addTask { await meter.observe() }
                group.cancelAll()
                for await look in group { #expect(look.isUp, "\(look)") }
            }
            let evidence = await meter.end(hypervisorBytes: 1_000_000)
            #expect(evidence.verdict == .leak)
            #expect(evidence.droppedAtGates.map { $0 > 0 } == true)
        }
    }

    @Test func `a tunnel serves one move at a time and is free after the move's end`() async throws {
        try await Hosts.with(2) { hosts in
            let mesh = try await hosts.meshes()[0]
            _ = try await mesh.establish(with: "h2")
            let begun = await withTaskGroup(of: Result<MoveMeter, any Error>.self) { group in
                for _ in 1...3 {
                    group.addTask {
                        do { return .success(try await mesh.beginMove("h2")) } catch { return .failure(error) }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            let meters = begun.compactMap { try? $0.get() }
            #expect(meters.count == 1)
            for case .failure(let error) in begun { #expect(error as? EscortError == .inUse("h2")) }
            let meter = try #require(meters.first)

            await #expect(throws: EscortError.inUse("h2")) { try await mesh.beginMove("h2") }
            _ = await meter.end(hypervisorBytes: nil)
            // The ended move still exists; the other one never ends, but nothing references it.
            _ = try await mesh.beginMove("h2")
            withExtendedLifetime(meters) {}
            _ = try await mesh.beginMove("h2")
        }
    }

    @Test(arguments: [1, 2])
    func `a path lost in the middle of a move is detected`(killed: Int) async throws {
        // The SAs in the peer's kernel continue without its charon, encrypted as before: nothing is lost.
        if killed == 2, Hosts.esp == .kernel { return }
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            _ = try await Transfer.start(hosts, to: hosts.inner(2))
            let meter = try await meshes[0].beginMove("h2")
            try await hosts.shell(
                """
                ip netns exec \(hosts.namespace(1)) bash -c \
                'head -c 2G /dev/zero > /dev/tcp/\(hosts.inner(2))/\(Transfer.port)' > /dev/null 2>&1 < /dev/null &
                """
            )
            try await hosts.eventually("it flows") { await meter.observe().bytes > 1 << 20 }
            try await hosts.killCharon(killed)
            let began = ContinuousClock.now
            var loss: PathLoss?
            try await hosts.eventually("the loss is noticed", within: .seconds(30)) {
                loss = await meter.observe().loss
                return loss != nil
            }
            print(
                "charon \(killed) killed mid-move: noticed after \(ContinuousClock.now - began): \(loss.map { "\($0)" } ?? "")"
            )
            let evidence = await meter.end(hypervisorBytes: 2 << 30)
            #expect(evidence.verdict != .covered)
        }
    }

    @Test func `other connections of the same charon stay`() async throws {
        try await Hosts.with(2) { hosts in
            let folder = hosts.hostFolder(1)
            try await hosts.shell(
                """
                mkdir \(folder)/conf.d; cat > \(folder)/swanctl.conf <<'END'
                connections {
                  branch-office {
                    remote_addrs = 192.0.2.1
                    local { auth = psk }
                    remote { auth = psk }
                    children { net { } }
                  }
                }
                include conf.d/*.conf
                END
                SWANCTL_DIR=\(folder) swanctl --load-all --uri \(hosts.socket(1))
                """
            )
            let error = await #expect(throws: EscortError.self) { try await hosts.mesh(1).apply(hosts.inventory()) }
            #expect(error == .foreignConnections(names: ["branch-office"]))

            let mesh = Mesh(
                local: "h1",
                credentials: try PreSharedKeys(text: hosts.key, path: "test"),
                placement: .included(folder: folder + "/conf.d"),
                socket: hosts.socket(1),
                runner: CommandRunner { command, input in
                    var command = command
                    command.environment["SWANCTL_DIR"] = folder
                    return try await hosts.runner(1)(command, input: input)
                }
            )
            try await mesh.apply(hosts.inventory())
            try await hosts.mesh(2).apply(hosts.inventory())
            _ = try await mesh.establish(with: "h2")
            try await mesh.remove()
            let left = try await hosts.swanctl(1, "--list-conns")
            #expect(left.contains("branch-office") && !left.contains("evenkeel"))
        }
    }
}
