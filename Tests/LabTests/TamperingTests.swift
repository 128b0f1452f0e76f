// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Lab

struct TamperingTests {
    private let guest = GuestPlan(number: 1, host: HostName("h1"))

    @Test func `memory in the clear is changed in one bit, and the checksum stays correct`() throws {
        let target = try #require(guest.checkedMemory().first)
        var tamperer = Tamperer(Tampering(targets: guest.checkedMemory(), noise: 0, seed: 1))
        let payload = [UInt8](repeating: 7, count: 101) + target + [UInt8](repeating: 9, count: 50)
        let before = FrameTests.tcp(payload: payload)
        var bytes = before
        bytes.withUnsafeMutableBytes { tamperer.handle($0) }
        let changed = bytes.indices.filter { bytes[$0] != before[$0] && !(50..<52).contains($0) }
        #expect(changed.count == 1 && (155..<187).contains(changed[0]))
        #expect(FrameTests.checksumIsRight(bytes))
        #expect(tamperer.statistics.targetsHit == 1)
        // A retransmission is changed in the same way; otherwise the receiver would see two versions.
        var again = before
        again.withUnsafeMutableBytes { tamperer.handle($0) }
        #expect(again == bytes)
    }

    @Test func `traffic other than migrations is not touched`() throws {
        let target = try #require(guest.checkedMemory().first)
        var tamperer = Tamperer(Tampering(targets: guest.checkedMemory(), noise: 1, seed: 1))
        for before in [
            FrameTests.tcp(payload: target, ports: (40000, 3260)),
            FrameTests.udp(payload: [0, 0, 0, 0] + [UInt8](repeating: 5, count: 1200)),
            FrameTests.tcp(payload: [UInt8](repeating: 5, count: 1200), ports: (40000, 49152)),
        ] {
            var bytes = before
            bytes.withUnsafeMutableBytes { tamperer.handle($0) }
            #expect(bytes == before)
        }
        #expect(tamperer.statistics.framesChanged == 0 && tamperer.statistics.frames == 3)
    }

    @Test func `about the requested share of encrypted bulk data is hit`() {
        var tamperer = Tamperer(Tampering(targets: [], noise: 0.1, seed: 7))
        let esp = FrameTests.udp(payload: [1, 2, 3, 4] + [UInt8](repeating: 5, count: 1300))
        let record = FrameTests.tcp(payload: [UInt8](repeating: 5, count: 1400), ports: (40000, 49152))
        for before in [esp, record] {
            var hits = 0
            for _ in 0..<2000 {
                var bytes = before
                bytes.withUnsafeMutableBytes { tamperer.handle($0) }
                if bytes != before { hits += 1 }
                #expect(FrameTests.checksumIsRight(bytes))
            }
            #expect((120...280).contains(hits), "seed 7")
        }
        #expect(Set(tamperer.statistics.noiseHits.keys) == ["ESP in UDP", "TCP 49152"])
    }

    @Test func `the first part of a connection is spared so that handshakes succeed`() {
        var tamperer = Tamperer(Tampering(targets: [], noise: 1, seed: 7))
        let before = FrameTests.tcp(payload: [UInt8](repeating: 5, count: 1024), ports: (40000, 16514))
        for number in 0..<300 {
            var bytes = before
            bytes.withUnsafeMutableBytes { tamperer.handle($0) }
            #expect((bytes != before) == (number >= 256), "segment \(number)")
        }
    }

    @Test func `the targets are the memory regions whose checksums the guest knows`() {
        // guest.c fills its memory in the same way, one number after the other.
        var state = guest.seed
        var words: [UInt64] = []
        for _ in 0..<64 * 512 + 260 { words.append(mix(&state)) }
        let targets = guest.checkedMemory()
        #expect(targets.count == 16 && Set(targets).count == 16)
        for (piece, start) in [(0, 256), (1, 64 * 512 + 256)] {
            let expected = words[start..<start + 4].flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
            }
            #expect(targets[piece] == expected)
        }
    }

    @Test func `only the guest's state decides a trial`() {
        func trial(
            _ channel: Channel,
            failed: Bool = false,
            hits: Bool = true,
            _ change: (inout GuestState) -> Void = { _ in }
        )
            -> TamperTrial
        {
            var state = GuestState(
                runsOn: [HostName("h2")],
                active: [HostName("h2")],
                starts: 1,
                problems: [],
                goesOn: true
            )
            change(&state)
            var wire = WireStatistics()
            if hits { wire.targetsHit = 3 }
            return TamperTrial(channel: channel, guest: "vm1", wire: wire, failure: failed ? "x" : nil, state: state)
        }
        let broken = trial(.plain) { $0.problems = ["mem=BAD:fixed:64:1"] }
        #expect(broken.verdict == .broken)
        #expect(trial(.ipsec).verdict == .unharmed)
        #expect(trial(.tls, failed: true).verdict == .refused)
        #expect(trial(.tls, hits: false).verdict == .untouched)
        #expect(trial(.tls) { $0.runsOn.append(HostName("h1")) }.verdict == .harmed)
        #expect(trial(.tls) { $0.goesOn = false }.verdict == .harmed)
        func isShown(_ trials: [TamperTrial], of channels: [Channel] = [.plain, .tls]) -> Bool {
            trials.areAsExpected(of: channels)
        }
        #expect(isShown([broken, trial(.tls)]) && isShown([broken, trial(.tls, failed: true)]))
        #expect(!isShown([trial(.plain), trial(.tls)]), "an attack that does not work shows nothing")
        #expect(!isShown([broken], of: [.plain]))
        #expect(!isShown([broken, trial(.tls) { $0.problems = ["mem=BAD:fixed:64:1"] }]))
        #expect(!isShown([broken, trial(.tls) { $0.goesOn = false }]))
        #expect(!isShown([broken, trial(.tls)], of: [.plain, .tls, .ssh]), "ssh was not tried")
        #expect(!isShown([broken, trial(.tls, hits: false)]), "nor was tls")
        #expect(isShown([broken, trial(.sealed, hits: false)], of: [.plain, .sealed]))
    }

    @Test func `the sniffing trials are conclusive only if every channel was tried`() {
        func trial(_ channel: Channel, secrets: Int = 0, failure: String? = nil) -> SniffTrial {
            var heard = Eavesdropping()
            heard.secrets = secrets
            return SniffTrial(channel: channel, guest: "vm1", failure: failure, heard: heard, dropped: 0)
        }
        let (clear, both) = (trial(.plain, secrets: 3), [Channel.plain, .tls])
        #expect([clear, trial(.tls)].areAsExpected(of: both))
        #expect(![clear, trial(.tls)].areAsExpected(of: both + [.ssh]), "ssh was not tried")
        #expect(![trial(.plain), trial(.tls)].areAsExpected(of: both), "no secret was captured")
        #expect(![clear, trial(.tls, secrets: 1)].areAsExpected(of: both))
        #expect(![clear, trial(.tls, failure: "no")].areAsExpected(of: both))
        #expect(![clear].areAsExpected(of: [.plain]))
    }
}
