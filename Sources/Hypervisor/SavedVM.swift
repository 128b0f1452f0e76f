// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A VM that was stopped and saved in a file, with the data that its next host needs.
///
/// This data travels with the image under the same encryption, because the definition contains secrets of the VM (for
/// example a console's password). For the same reason `description` omits the definition.
public struct SavedVM: Codable, Sendable, Equatable, CustomStringConvertible {
    public var vm: VMID
    public var name: String
    /// Path of the complete image, which only its owner can read.
    public var path: String
    public var imageBytes: UInt64
    /// The persistent definition; `nil` for a transient VM.
    public var definition: String?
    /// Whether the VM started with its host before it was saved.
    public var startsWithHost: Bool
    /// When it was asked to stop; the VM has not executed since.
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

/// The VM in a complete image.
///
/// Its definition must not be compared with another: in an image, libvirt writes parts that it omits elsewhere.
public struct SavedImage: Sendable, Equatable {
    public var vm: VMID
    public var name: String
    /// Whether its TPM's state is deleted if the restored VM ends before it has a definition.
    public var losesTPMState: Bool
    public init(vm: VMID, name: String, losesTPMState: Bool = false) {
        self.vm = vm
        self.name = name
        self.losesTPMState = losesTPMState
    }
}

/// Where a saved VM is restored.
public enum Restoration: Sendable, Equatable {
    /// On a host that does not know the VM (`.absent`); the host takes its definition, too.
    case arrival
    /// On a host that has its definition (`.inactive`), as the agent of an earlier version left it at the source.
    case back
}
