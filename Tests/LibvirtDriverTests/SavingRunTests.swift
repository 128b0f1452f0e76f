// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Hypervisor
import Synchronization
import TestSupport
import Testing

@testable import LibvirtDriver

/// Saving and restoring with calls that fail, are late, or never return.
@Suite(.timeLimit(.minutes(1))) struct SavingRunTests {
    private let image = SavedImage(vm: VMID("aaaaaaaa-0000-4000-8000-00000000000a"), name: "web1")

    private func save(
        _ calls: ScriptedSaving,
        limit: Duration = .seconds(5),
        slots: CallSlots = CallSlots(1)
    ) async -> Result<SavedVM, HypervisorError> {
        let limits = ScriptedSaving.limits
        let run = SaveRun(calls.saved.vm, attempt: "save", calls: calls, limits: limits, slots: slots) { saved in
            #expect(saved.definition == calls.saved.definition)
            try calls.keep()
        }
        return await Blocking.run { run.carryOut(within: limit) }
    }

    private func restore(
        _ calls: ScriptedSaving,
        _ restoration: Restoration = .arrival,
        limit: Duration = .seconds(5),
        slots: CallSlots = CallSlots(1),
        beforeStart: @Sendable @escaping () throws -> Void = {}
    ) async -> Result<Instant, HypervisorError> {
        let run = RestoreRun(
            saved: calls.saved,
            restoration: restoration,
            attempt: "restore",
            calls: calls,
            limits: ScriptedSaving.limits,
            slots: slots,
            beforeStart: beforeStart
        )
        return await Blocking.run { run.carryOut(within: limit) }
    }

    private func error<R>(of result: Result<R, HypervisorError>) -> HypervisorError? {
        guard case .failure(let error) = result else { return nil }
        return error
    }

    private func write(_ saved: SavedVM) throws { try Data("image".utf8).write(to: URL(filePath: saved.path)) }

    // MARK: save

    @Test func `a save that succeeds returns the closed image`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.inactive], image: image)
            try write(calls.saved)
            let saved = try await save(calls).get()
            #expect(saved.imageBytes == 5)
            let attributes = try FileManager.default.attributesOfItem(atPath: saved.path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
    }

    /// A VM that is off and defined could be started by anyone, while its memory is on its way.
    @Test func `the definition is kept, then removed, and only then is the VM saved`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.absent], image: image)
            try write(calls.saved)
            _ = try await save(calls).get()
            #expect(calls.asked.withLock { $0 } == ["prepare", "keep", "undefine", "save"])
        }
    }

    @Test func `a VM whose definition cannot be kept is not touched`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.running])
            calls.on("keep") { throw LibvirtError.operationFailed }
            #expect(error(of: await save(calls))?.kind == .refused)
            #expect(calls.asked.withLock { $0 } == ["prepare", "keep"])
        }
    }

    @Test(arguments: ["undefine", "save"])
    func `a VM that runs on without its definition is in doubt`(step: String) async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.running])
            calls.on(step) { throw LibvirtError.operationFailed }
            calls.on("define") { throw LibvirtError.operationFailed }
            let error = error(of: await save(calls))
            #expect(error?.kind == .inDoubt && error?.detail.contains("without its definition") == true)
        }
    }

    @Test func `a failed save removes the file and restores the VM's definition and autostart`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder, startsWithHost: true), places: [.running])
            try write(calls.saved)
            calls.on("save") { throw LibvirtError.operationFailed }
            #expect(error(of: await save(calls))?.kind == .failed)
            #expect(!FileManager.default.fileExists(atPath: calls.saved.path))
            #expect(calls.asked.withLock { $0 }.suffix(2) == ["define", "autostart"])
        }
    }

    @Test func `a save that takes too long is aborted, and the VM continues`() async throws {
        try await withMemoryFolder { folder in
            let aborted = Gate()
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.paused, .running])
            calls.on("save") {
                aborted.pass()
                throw LibvirtError.operationAborted
            }
            calls.on("abort") { aborted.open() }
            let error = error(of: await save(calls, limit: .milliseconds(300)))
            #expect(error?.kind == .timedOut && error?.detail.contains("runs on") == true)
        }
    }

    @Test func `a completed save is a success even if libvirt returned an error`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.inactive], image: image)
            try write(calls.saved)
            calls.on("save") { throw LibvirtError.operationFailed }
            #expect(try await save(calls).get().imageBytes == 5)
        }
    }

    @Test func `a VM that is off without a complete image is in doubt, and the file stays`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.inactive])
            try write(calls.saved)
            calls.on("save") { throw LibvirtError.operationFailed }
            #expect(error(of: await save(calls))?.kind == .inDoubt)
            #expect(FileManager.default.fileExists(atPath: calls.saved.path))
        }
    }

    @Test(.timeLimit(.minutes(2))) func `a save that never returns is in doubt within bounded time`() async throws {
        try await withMemoryFolder { folder in
            let gate = Gate()
            defer { gate.open() }
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.running])
            calls.on("save") { gate.pass() }
            calls.on("abort") { gate.pass() }
            #expect(error(of: await save(calls, limit: .milliseconds(300)))?.kind == .inDoubt)
        }
    }

    @Test func `without a free slot nothing is saved or restored`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.absent], image: image)
            try write(calls.saved)
            let none = CallSlots(0)
            #expect(error(of: await save(calls, slots: none))?.kind == .refused)
            #expect(error(of: await restore(calls, slots: none))?.kind == .refused)
            #expect(!calls.asked.withLock { $0.contains { ["prepare", "save", "restore", "undo"].contains($0) } })
        }
    }

    // MARK: restore

    @Test func `a restore starts the VM last and removes the image`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(
                ScriptedSaving.sample(in: folder, startsWithHost: true),
                places: [.absent],
                image: image
            )
            try write(calls.saved)
            _ = try await restore(calls).get()
            #expect(calls.asked.withLock { $0 } == ["presence", "restore", "define", "start", "autostart"])
            #expect(!FileManager.default.fileExists(atPath: calls.saved.path))
        }
    }

    @Test(arguments: ["restore", "define", "start"])
    func `a restore that fails is undone, and the image stays`(step: String) async throws {
        try await withMemoryFolder { folder in
            let places: [DomainPresence] =
                step == "start" ? [.absent, .pausedByMigration, .pausedByMigration, .absent] : [.absent]
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: places, image: image)
            try write(calls.saved)
            calls.on(step) { throw LibvirtError.operationFailed }
            let error = error(of: await restore(calls))
            #expect(error?.kind == .failed && error?.detail.contains("does not run here") == true)
            #expect(calls.asked.withLock { $0.contains("undo") })
            #expect(FileManager.default.fileExists(atPath: calls.saved.path))
            if step != "start" { #expect(calls.asked.withLock { !$0.contains("start") }) }
        }
    }

    @Test func `a VM whose start cannot be recorded is not started`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.absent], image: image)
            try write(calls.saved)
            let error = error(of: await restore(calls) { throw LibvirtError.operationFailed })
            #expect(error?.kind == .failed && error?.detail.contains("does not run here") == true)
            #expect(calls.asked.withLock { !$0.contains("start") && $0.contains("undo") })
            #expect(FileManager.default.fileExists(atPath: calls.saved.path))
        }
    }

    @Test func `a VM that paused after its start is not stopped`() async throws {
        try await withMemoryFolder { folder in
            let places: [DomainPresence] = [.absent, .paused]
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: places, image: image)
            try write(calls.saved)
            calls.on("start") { throw LibvirtError.operationFailed }
            #expect(error(of: await restore(calls))?.kind == .inDoubt)
            #expect(calls.asked.withLock { !$0.contains("undo") }, "it may have run and written to its disks")
        }
    }

    @Test func `a restore that takes too long is stopped and never starts the VM`() async throws {
        try await withMemoryFolder { folder in
            let ended = Gate()
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.absent], image: image)
            try write(calls.saved)
            // It may even succeed at the last moment.
            calls.on("restore") { ended.pass() }
            calls.on("undo") { ended.open() }
            #expect(error(of: await restore(calls, limit: .milliseconds(300)))?.kind == .timedOut)
            #expect(calls.asked.withLock { !$0.contains("start") && !$0.contains("define") })
        }
    }

    /// The target declines then, and nothing of the VM may be left there.
    @Test(arguments: [("restore", DomainPresence.pausedByMigration), ("define", .inactive)])
    func `a call that returns after the restore was given up is undone`(
        step: String,
        leaves: DomainPresence
    )
        async throws
    {
        try await withMemoryFolder { folder in
            let late = Gate()
            let called = Mutex(false)
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.absent], image: image)
            try write(calls.saved)
            calls.on(step) {
                called.withLock { $0 = true }
                late.pass()
            }
            var limits = ScriptedSaving.limits
            (limits.call, limits.abort) = (.seconds(1), .seconds(1))
            let run = RestoreRun(
                saved: calls.saved,
                restoration: .arrival,
                attempt: "restore",
                calls: calls,
                limits: limits,
                slots: CallSlots(1),
                beforeStart: {}
            )
            let error = error(of: await Blocking.run { run.carryOut(within: .seconds(1)) })
            #expect(error?.kind == .timedOut && called.withLock { $0 })
            let ended = Gate()
            let hasEnded = Mutex(false)
            run.changes.whenEnded {
                hasEnded.withLock { $0 = true }
                ended.open()
            }
            #expect(!hasEnded.withLock { $0 }, "another attempt must wait")
            let undone = calls.asked.withLock { $0.count { $0 == "undo" } }
            calls.move(to: leaves)
            late.open()
            await Blocking.run { ended.pass() }
            #expect(calls.asked.withLock { $0.count { $0 == "undo" } } == undone + 1)
        }
    }

    @Test func `a call that returns late leaves a VM that runs by then`() async throws {
        try await withMemoryFolder { folder in
            let late = Gate()
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.absent], image: image)
            try write(calls.saved)
            calls.on("define") { late.pass() }
            var limits = ScriptedSaving.limits
            limits.call = .seconds(1)
            let run = RestoreRun(
                saved: calls.saved,
                restoration: .arrival,
                attempt: "restore",
                calls: calls,
                limits: limits,
                slots: CallSlots(1),
                beforeStart: {}
            )
            #expect(error(of: await Blocking.run { run.carryOut(within: .seconds(5)) })?.kind == .timedOut)
            let undone = calls.asked.withLock { $0.count { $0 == "undo" } }
            calls.move(to: .running)
            let ended = Gate()
            run.changes.whenEnded { ended.open() }
            late.open()
            await Blocking.run { ended.pass() }
            #expect(calls.asked.withLock { $0.count { $0 == "undo" } } == undone)
        }
    }

    @Test func `a start whose answer is lost succeeds if the VM runs`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(
                ScriptedSaving.sample(in: folder),
                places: [.absent, .running],
                image: image
            )
            try write(calls.saved)
            calls.on("start") { throw LibvirtError.operationFailed }
            _ = try await restore(calls).get()
        }
    }

    @Test func `a restore that cannot be undone is in doubt`() async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(
                ScriptedSaving.sample(in: folder),
                places: [.absent, .pausedByMigration],
                image: image
            )
            try write(calls.saved)
            calls.on("define") { throw LibvirtError.operationFailed }
            calls.on("undo") { throw LibvirtError.operationFailed }
            #expect(error(of: await restore(calls))?.kind == .inDoubt)
        }
    }

    @Test(arguments: [
        (Restoration.arrival, DomainPresence.inactive), (.arrival, .running), (.back, .absent), (.back, .running),
    ])
    func `a VM in an unexpected state is not touched`(restoration: Restoration, here: DomainPresence) async throws {
        try await withMemoryFolder { folder in
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [here], image: image)
            try write(calls.saved)
            #expect(error(of: await restore(calls, restoration))?.kind == .refused)
            #expect(calls.asked.withLock { $0 } == ["presence"])
        }
    }

    /// libvirt deletes the state with the transient copy, and the state may be on shared storage.
    @Test func `a VM whose TPM would lose its state in an undone restore is not restored`() async throws {
        try await withMemoryFolder { folder in
            let tpm = SavedImage(vm: image.vm, name: image.name, losesTPMState: true)
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.absent], image: tpm)
            try write(calls.saved)
            let refusal = error(of: await restore(calls))
            #expect(refusal?.kind == .refused && refusal?.detail.contains("TPM") == true)
            #expect(calls.asked.withLock { $0 } == ["presence"])
            // A VM that is defined here keeps it.
            let defined = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.inactive], image: tpm)
            _ = try await restore(defined, .back).get()
        }
    }

    @Test func `an image of another size or VM is refused`() async throws {
        try await withMemoryFolder { folder in
            let other = SavedImage(vm: VMID("bbbbbbbb-0000-4000-8000-00000000000b"), name: "w")
            let calls = ScriptedSaving(ScriptedSaving.sample(in: folder), places: [.absent], image: other)
            try write(calls.saved)
            #expect(error(of: await restore(calls))?.detail.contains("another VM") == true)
            try Data("imag".utf8).write(to: URL(filePath: calls.saved.path))
            #expect(error(of: await restore(calls))?.detail.contains("5 bytes") == true)
            #expect(calls.asked.withLock { !$0.contains("restore") })
        }
    }
}
