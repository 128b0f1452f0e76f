// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Hypervisor
import TestSupport
import Testing

@testable import LibvirtDriver

/// Stop-and-copy with libvirt's own test driver, which saves a definition and no memory.
@Suite(.timeLimit(.minutes(1))) struct LibvirtSavingTests {
    @Test func `a folder unsuitable for memory in the clear is refused`() async throws {
        let node = try await TestNode(state: 1)
        func refusal(_ folder: String) async -> String? {
            let error = await #expect(throws: HypervisorError.self) {
                try await node.save(in: folder)
            }
            #expect(error?.kind == .refused)
            return error?.detail
        }
        #expect(await refusal("/nonexistent")?.contains("not a folder") == true)
        try await withMemoryFolder(mode: 0o750) { #expect(await refusal($0)?.contains("others may enter") == true) }
        try await withMemoryFolder { folder in
            try Data().write(to: URL(filePath: "\(folder)/\(node.vm).image"))
            #expect(await refusal(folder)?.contains("already there") == true)
        }
        try await withMemoryFolder(in: FileManager.default.currentDirectoryPath) {
            #expect(await refusal($0)?.contains("on a disk") == true)
        }
        let huge = try await TestNode(state: 1, memory: "<memory unit='TiB'>64</memory>")
        try await withMemoryFolder { folder in
            let error = await #expect(throws: HypervisorError.self) {
                try await huge.save(in: folder)
            }
            #expect(error?.detail.contains("MiB free") == true)
        }
        #expect(try await node.hypervisor.presence(of: node.vm) == .running)
    }

    @Test func `a saved VM is gone, and an impossible restore leaves it saved`() async throws {
        let node = try await TestNode(state: 1)
        try await withMemoryFolder { folder in
            let saved = try await node.save(in: folder)
            #expect(try await node.hypervisor.presence(of: node.vm) == .absent)
            await #expect(throws: HypervisorError.self) { try await node.hypervisor.start(node.vm) }
            #expect(saved.imageBytes > 0 && saved.definition?.contains("<domain") == true)
            #expect(!"\(saved)".contains("<domain"))
            #expect(try await node.hypervisor.image(at: saved.path).vm == node.vm)
            let wrong = await #expect(throws: HypervisorError.self) {
                try await node.restore(saved, .back)
            }
            #expect(wrong?.kind == .refused)
            // The test driver cannot restore a VM paused; the restore then fails and does not start the VM at once.
            let error = await #expect(throws: HypervisorError.self) { try await node.restore(saved, .arrival) }
            #expect(error?.kind == .failed && error?.detail.contains("does not run here") == true)
            #expect(try await node.hypervisor.presence(of: node.vm) == .absent)
            #expect(FileManager.default.fileExists(atPath: saved.path))
            for _ in 1...2 {
                try await node.hypervisor.define(try #require(saved.definition), of: node.vm)
                #expect(try await node.hypervisor.presence(of: node.vm) == .inactive)
            }
        }
    }
}

extension TestNode {
    // The driver gives these their own connection, and the test driver's hosts belong to one connection.

    fileprivate func save(in folder: String) async throws -> SavedVM {
        let calls = LibvirtSaveCalls(vm: vm, folder: folder, attempt: "save", source: hypervisor.connector)
        let run = SaveRun(vm, attempt: "save", calls: calls, limits: hypervisor.limits, slots: hypervisor.moving) { _ in
        }
        return try await Blocking.run { run.carryOut(within: .seconds(10)) }.get()
    }

    fileprivate func restore(_ saved: SavedVM, _ restoration: Restoration) async throws -> Instant {
        let run = RestoreRun(
            saved: saved,
            restoration: restoration,
            attempt: "restore",
            calls: LibvirtRestoreCalls(vm: vm, attempt: "restore", target: hypervisor.connector),
            limits: hypervisor.limits,
            slots: hypervisor.moving,
            beforeStart: {}
        )
        return try await Blocking.run { run.carryOut(within: .seconds(10)) }.get()
    }
}
