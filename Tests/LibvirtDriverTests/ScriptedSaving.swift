// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Hypervisor
import Synchronization

@testable import LibvirtDriver

/// Scripted answers of libvirt to save and restore calls; it records the calls.
final class ScriptedSaving: SaveCalls, RestoreCalls {
    let asked = Mutex<[String]>([])
    let saved: SavedVM
    private let script = Mutex<[String: @Sendable () throws -> Void]>([:])
    private let places: Mutex<[DomainPresence]>
    private let content: SavedImage?

    /// Creates a script with the VM's successive presences (the last one repeats) and the file's content.
    init(_ saved: SavedVM, places: [DomainPresence], image: SavedImage? = nil) {
        self.saved = saved
        self.places = Mutex(places)
        content = image
    }

    /// Sets the VM's state from now on.
    func move(to presence: DomainPresence) { places.withLock { $0 = [presence] } }

    func on(_ step: String, _ body: @Sendable @escaping () throws -> Void) { script.withLock { $0[step] = body } }

    private func note(_ step: String) throws {
        asked.withLock { $0.append(step) }
        try script.withLock { $0[step] }?()
    }

    func prepare() throws -> SavedVM {
        try note("prepare")
        return saved
    }
    func keep() throws { try note("keep") }
    func undefine() throws { try note("undefine") }
    func save(to path: String) throws { try note("save") }
    func abort() throws { try note("abort") }
    func presence() throws -> DomainPresence {
        try note("presence")
        return places.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
    }
    func image(at path: String) throws -> SavedImage {
        guard let content else { throw LibvirtError.operationFailed }
        return content
    }
    func restorePaused(from path: String) throws { try note("restore") }
    func define(_ xml: String) throws { try note("define") }
    func start() throws { try note("start") }
    func setAutostart() throws { try note("autostart") }
    func undo(isDefinedHere: Bool) throws { try note("undo") }

    static func sample(in folder: String, startsWithHost: Bool = false) -> SavedVM {
        let vm = VMID("aaaaaaaa-0000-4000-8000-00000000000a")
        return SavedVM(
            vm: vm,
            name: "web1",
            path: "\(folder)/\(vm).image",
            imageBytes: 5,
            definition: "<domain/>",
            startsWithHost: startsWithHost,
            stoppedAt: Instant(milliseconds: 0)
        )
    }

    static var limits: LibvirtHypervisor.Limits {
        var limits = LibvirtHypervisor.Limits()
        limits.call = .seconds(5)
        limits.abort = .seconds(4)
        limits.settle = .seconds(4)
        return limits
    }
}
