// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import Foundation
public import Hypervisor
internal import Synchronization

/// Stop-and-copy in memory; the image is a real file, so that tests can transfer it.
extension InMemoryHypervisor {
    /// The content of an image file.
    private struct Image: Codable {
        var needs: VMRequirements
        /// The number of the image in the world: a second image of a VM makes the first one stale.
        var number: Int
        var isTransient: Bool
    }

    public func save(
        _ vm: VMID,
        in folder: String,
        timeLimit: Duration,
        keep: @Sendable @escaping (SavedVM) throws -> Void
    ) async throws(HypervisorError) -> SavedVM {
        let attempt = "save VM \(vm) in \(folder)"
        _ = try ask(attempt)
        let path = "\(folder)/\(vm).image"
        return try world.state.withLock { state throws(HypervisorError) in
            func failure(_ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
                HypervisorError(kind, attempt: attempt, detail: detail)
            }
            guard let copy = state.copies[host]?[vm] else { throw failure(.noSuchVM, "it is not on \(host)") }
            guard copy.presence == .running else {
                throw failure(.refused, "its state is not running but \(copy.presence)")
            }
            let turn = state.turns.removeValue(forKey: vm) ?? .succeed
            if case .fail(let kind, let detail) = turn { throw failure(kind, detail) }
            if turn == .loseTouch(done: false) { throw failure(.inDoubt, "the hypervisor stopped answering") }
            var saved = SavedVM(
                vm: vm,
                name: copy.needs.name,
                path: path,
                imageBytes: 0,
                definition: copy.isTransient ? nil : "<domain/>",
                startsWithHost: copy.startsWithHost,
                stoppedAt: world.now()
            )
            do { try keep(saved) } catch { throw failure(.refused, "its definition cannot be kept: \(error)") }
            let image = Image(needs: copy.needs, number: state.imagesMade + 1, isTransient: copy.isTransient)
            guard let data = try? JSONEncoder().encode(image), Self.write(data, to: path) else {
                throw failure(.refused, "\(path) cannot be written, or already exists")
            }
            saved.imageBytes = UInt64(data.count)
            state.imagesMade += 1
            state.images[vm] = image.number
            state.copies[host]?[vm] = nil
            state.saved[vm] = copy.needs
            guard turn == .succeed else { throw failure(.inDoubt, "the hypervisor stopped answering") }
            return saved
        }
    }

    public func define(_ definition: String, of vm: VMID) async throws(HypervisorError) {
        _ = try ask("define VM \(vm)")
        world.state.withLock { state in
            if state.copies[host]?[vm] != nil {
                state.copies[host]?[vm]?.isTransient = false
            } else if let needs = state.saved[vm] {
                state.copies[host]?[vm] = InMemoryWorld.Copy(needs: needs, presence: .inactive)
            }
        }
    }

    public func image(at path: String) async throws(HypervisorError) -> SavedImage {
        let attempt = "read the image \(path)"
        _ = try ask(attempt)
        let image = try Self.read(path, attempt)
        return SavedImage(vm: image.needs.id, name: image.needs.name)
    }

    public func restore(
        _ saved: SavedVM,
        _ restoration: Restoration,
        timeLimit: Duration,
        beforeStart: @Sendable @escaping () throws -> Void
    ) async throws(HypervisorError) -> Instant {
        let attempt = "restore VM \(saved.vm) from \(saved.path)"
        _ = try ask(attempt)
        let image = try Self.read(saved.path, attempt)
        try world.state.withLock { state throws(HypervisorError) in
            let turn = state.turns.removeValue(forKey: saved.vm) ?? .succeed
            try check(saved, restoration, image, state, attempt)
            if case .fail(let kind, let detail) = turn {
                throw HypervisorError(kind, attempt: attempt, detail: detail)
            }
            if turn != .loseTouch(done: false) {
                do { try beforeStart() } catch {
                    throw HypervisorError(.failed, attempt: attempt, detail: "it was not started: \(error)")
                }
            }
            if let violation = state.violation(of: saved.vm, image: image.number) {
                state.violations.append("\(attempt) on \(host): \(violation)")
                throw HypervisorError(.refused, attempt: attempt, detail: violation)
            }
            if turn != .loseTouch(done: false) {
                state.copies[host]?[saved.vm] = InMemoryWorld.Copy(
                    needs: image.needs,
                    presence: .running,
                    isTransient: image.isTransient,
                    startsWithHost: saved.startsWithHost
                )
                state.images[saved.vm] = nil
            }
            guard turn == .succeed else {
                throw HypervisorError(.inDoubt, attempt: attempt, detail: "the hypervisor stopped answering")
            }
        }
        try? FileManager.default.removeItem(atPath: saved.path)
        return world.now()
    }

    /// Performs the checks that a real hypervisor can make on its own host.
    private func check(
        _ saved: SavedVM,
        _ restoration: Restoration,
        _ image: Image,
        _ state: InMemoryWorld.State,
        _ attempt: String
    ) throws(HypervisorError) {
        func refusal(_ detail: String) -> HypervisorError {
            HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        guard image.needs.id == saved.vm else { throw refusal("\(saved.path) holds another VM, \(image.needs.id)") }
        let here = state.copies[host]?[saved.vm]?.presence ?? .absent
        let expected: DomainPresence = restoration == .back ? .inactive : .absent
        guard here == expected else { throw refusal("it is \(here) here") }
        let room = state.hosts[host]?.memoryBytes ?? 0
        guard room >= state.memoryTaken(on: host) + image.needs.memoryBytes else {
            throw HypervisorError(.failed, attempt: attempt, detail: "\(host) has no memory for it")
        }
    }

    private static func write(_ data: Data, to path: String) -> Bool {
        guard !FileManager.default.fileExists(atPath: path) else { return false }
        let mode: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        return FileManager.default.createFile(atPath: path, contents: data, attributes: mode)
    }

    private static func read(_ path: String, _ attempt: String) throws(HypervisorError) -> Image {
        do { return try JSONDecoder().decode(Image.self, from: Data(contentsOf: URL(filePath: path))) } catch {
            throw HypervisorError(.failed, attempt: attempt, detail: "it is not a complete image: \(error)")
        }
    }
}

extension InMemoryWorld.State {
    /// Returns why the VM must not run from this image, which no single hypervisor can detect; `nil` if it may.
    fileprivate func violation(of vm: VMID, image number: Int) -> String? {
        let running = copies.filter { $0.value[vm]?.presence.executes == true }.keys.sorted()
        if !running.isEmpty { return "it runs on \(running)" }
        return images[vm] == number ? nil : "this image is stale: the VM has run since"
    }
}
