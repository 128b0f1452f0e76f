// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Lab
import Testing

/// A sealed move on real hosts: libvirt saves and restores, and the encrypted image is on the shared storage.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("SealedMoveTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct SealedMoveTests {
    private static let plan = LabPlan(
        hosts: [1, 2].map { HostPlan(number: $0, cores: 0.9) },
        guests: [GuestPlan(number: 1, host: HostName("h1"))]
    )

    @Test(.timeLimit(.minutes(8)))
    func `a sealed VM's memory is neither on the wire nor on the storage`() async throws {
        try await TestLab.with(Self.plan) { world in
            let lab = world.lab
            try await lab.waitForSamples()
            let guest = try world.guest("vm1")
            let (h1, h2) = (try world.host("h1"), try world.host("h2"))
            let wire = "\(lab.site.stateFolder)/sealed.pcap"
            let capture = try await lab.capture(to: wire)
            // The file is removed after the move, but a second link to it stays.
            let kept = "\(lab.site.stateFolder)/sealed.kept"
            let keeper = Task { try await Self.keep(filesOf: "\(lab.site.ledgerFolder)/sealed", at: kept) }
            let move = try await lab.move(guest, to: h2.name, channel: .sealed)
            let sealed = try await keeper.value
            #expect(try await capture.stop() == 0)
            #expect(move.failure == nil && move.order.technique == .stopAndCopy)
            let evidence = try #require(move.evidence)
            let outcome = try #require(move.outcome)
            print(
                """
                sealed: \(outcome.bytesTransferred ?? 0) bytes, \(evidence.bytesOnPath ?? 0) encrypted, downtime \
                \(outcome.downtimeSeconds ?? -1) s, total \(outcome.totalSeconds ?? -1) s
                """
            )
            #expect(evidence.verdict == .covered)
            guard case .sealed = evidence.proof else {
                Issue.record("\(evidence)")
                return
            }

            let heard = try await PacketCapture(path: wire).eavesdrop(
                secret: guest.marker,
                memory: guest.checkedMemory()
            )
            #expect(heard.packets > 0 && heard.secrets == 0 && heard.memoryPieces == 0)
            let file = try Data(contentsOf: URL(filePath: sealed), options: .alwaysMapped)
            #expect(UInt64(file.count) == evidence.bytesOnPath)
            #expect(file.range(of: Data(guest.marker.utf8)) == nil && file.range(of: Data("<domain".utf8)) == nil)
            for piece in guest.checkedMemory() { #expect(file.range(of: Data(piece)) == nil) }

            try await world.expect("vm1", on: "h2")
            let left = try await h1.virsh(["list", "--all", "--name"])
            #expect(!left.contains("vm1"), "its definition is gone from h1")
            let arrived = try await h2.virsh(["list", "--persistent", "--name"])
            #expect(arrived.contains("vm1"))
            for folder in [h1.sealedFolder, h2.sealedFolder, "\(lab.site.ledgerFolder)/sealed"] {
                try await world.poll("\(folder) to be empty", within: .seconds(20)) {
                    try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty
                }
            }
            // The invariant, including memory checksum and disk, is checked after this.
        }
    }

    /// Links the first file that appears in a folder, and returns the link.
    private static func keep(filesOf folder: String, at link: String) async throws -> String {
        for _ in 0..<4000 {
            let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            if let file = files.first {
                try FileManager.default.linkItem(atPath: "\(folder)/\(file)", toPath: link)
                return link
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw TestLab.Unexpected("nothing was sealed into \(folder)")
    }
}
