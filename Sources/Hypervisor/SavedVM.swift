// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A VM that was stopped and saved in a file, with what its next host needs to know of it.
///
/// It travels with the image, under the same encryption: the definition has the VM's secrets (a console's password,
/// say). For that reason its description leaves it out.
public struct SavedVM: Codable, Sendable, Equatable, CustomStringConvertible {
    public var vm: VMID
    public var name: String
    /// The image: complete, readable by its owner alone.
    public var path: String
    public var imageBytes: UInt64
    /// The persistent definition; `nil` of a transient VM.
    public var definition: String?
    /// Whether the VM started with its host; where it came from it does so no longer since it was saved.
    public var startsWithHost: Bool
    /// When it was asked to stop: from then on it did not execute.
    public var stoppedAt: Instant

    public init(
        vm: VMID,
        name: String,
        path: String,
        imageBytes: UInt64,
        definition: String?,
        startsWithHost: Bool,
        stoppedAt: Instant
    ) {
        self.vm = vm
        self.name = name
        self.path = path
        self.imageBytes = imageBytes
        self.definition = definition
        self.startsWithHost = startsWithHost
        self.stoppedAt = stoppedAt
    }

    public var description: String { "VM \(name) (\(vm)) saved in \(path), \(imageBytes) bytes" }
}

/// What a complete image says of the VM in it.
public struct SavedImage: Sendable, Equatable {
    public var vm: VMID
    public var name: String
    /// The digest of the definition with which it will run (`VMSample.definition`).
    public var definition: String?
    public init(vm: VMID, name: String, definition: String?) {
        self.vm = vm
        self.name = name
        self.definition = definition
    }
}

/// Where a saved VM is restored.
public enum Restoration: Sendable, Equatable {
    /// On a host that does not know it (`.absent`), which takes its definition too.
    case arrival
    /// On the host that saved it, where its definition is (`.inactive`; `.absent` if it is transient).
    case back
}
