// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import evenkeel_lab

struct EchoTests {
    @Test func `a request has a correct checksum, and its reply is recognised`() {
        let request = EchoMessage(family: .v4, identifier: 77, sequence: 0xabcd, cookie: 0x0123_4567_89ab_cdef)
        #expect(EchoMessage.checksum(request.bytes) == 0)
        var reply = request.bytes
        reply[0] = 0
        let header = [0x45] + [UInt8](repeating: 0, count: 19)
        #expect(sequence(in: header + reply) == 0xabcd)
        #expect(sequence(in: header + request.bytes) == nil, "our own request, as loopback shows it")
        #expect(sequence(in: header + reply, cookie: 1) == nil, "the reply to another program")
        #expect(sequence(in: header + reply.dropLast()) == nil)
        #expect(sequence(in: []) == nil)
    }

    private func sequence(in bytes: [UInt8], cookie: UInt64 = 0x0123_4567_89ab_cdef) -> UInt16? {
        EchoMessage.replySequence(in: bytes[...], family: .v4, cookie: cookie, hasInternetHeader: true)
    }

    @Test(.enabled("pings may not be sent here") { Self.mayPing }, arguments: ["127.0.0.1", "::1"])
    func `the probe sees the answers of a host`(address: String) async throws {
        let socket = try EchoSocket(to: address)
        defer { socket.close() }
        let series = try await EchoProbe(socket: socket, interval: 0.01, duration: 0.3).run()
        // A busy machine delays requests, but each must get its answer.
        #expect((5...30).contains(series.echoes.count))
        #expect(series.roundTrips.count == series.echoes.count)
        #expect(series.roundTrips.allSatisfy { $0 > 0 && $0 < 1 })
    }

    @Test(.enabled("pings may not be sent here") { Self.mayPing })
    func `a stopped probe returns its observations`() async throws {
        let socket = try EchoSocket(to: "127.0.0.1")
        defer { socket.close() }
        let (seen, see) = AsyncStream.makeStream(of: Void.self)
        let probe = EchoProbe(socket: socket, interval: 0.01, duration: nil) { _ in see.yield() }
        let task = Task { try await probe.run() }
        // Once it has sent a request, however busy the machine is.
        for await _ in seen { break }
        task.cancel()
        #expect(try await task.value.echoes.count > 0)
    }

    @Test func `an invalid address is refused`() {
        #expect(throws: ProbeError.self) { try EchoSocket(to: "no.such.host.invalid") }
    }

    @Test func `the error names the next step if the user may not ping`() throws {
        let error = #expect(throws: ProbeError.self) {
            try EchoSocket(to: "127.0.0.1") { _, _, _ in
                errno = EPERM
                return -1
            }
        }
        #expect(error?.description.contains("ping_group_range") == true)
    }

    private static var mayPing: Bool {
        guard let socket = try? EchoSocket(to: "::1") else { return false }
        socket.close()
        return true
    }
}
