// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A host's copy of the definition of one of its VMs, for the time when the host is lost.
public struct DefinitionCopy: Codable, Sendable, Equatable {
    public var host: HostName
    /// When the host read this definition for the first time.
    public var at: Instant
    /// When the host first found that it has the definition no more; `nil`: it has it.
    public var goneSince: Instant?
    public var definition: VMDefinition

    public init(host: HostName, at: Instant, goneSince: Instant? = nil, definition: VMDefinition) {
        self.host = host
        self.at = at
        self.goneSince = goneSince
        self.definition = definition
    }
}

/// Why the file of a copy is not used.
public enum DefinitionRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// It cannot be opened or read, or is too large.
    case unreadable(String)
    /// Its content is not a copy.
    case malformed(String)
    /// It has no signature, in a ledger whose records are signed.
    case unsigned
    /// The roster does not list its host.
    case unknownHost(HostName)
    /// It is signed with a key that its host does not have, or no longer has.
    case wrongSigner(key: String)
    /// The signature does not match the content.
    case altered
    /// It is genuine, but is the copy of another VM or host: it was copied or renamed.
    case wrongPlace(VMID, HostName)
    /// Its time is too far ahead of the reader's clock.
    case fromTheFuture(ahead: Duration)

    /// A stable code for programs.
    public var code: String {
        switch self {
        case .unreadable: "unreadable"
        case .malformed: "malformed"
        case .unsigned: "unsigned"
        case .unknownHost: "unknown-host"
        case .wrongSigner: "wrong-signer"
        case .altered: "altered"
        case .wrongPlace: "wrong-place"
        case .fromTheFuture: "from-the-future"
        }
    }

    public var description: String {
        switch self {
        case .unreadable(let reason): "it cannot be read: \(reason)"
        case .malformed(let reason): "it is not a copy of a definition: \(reason)"
        case .unsigned: "it is not signed"
        case .unknownHost(let host): "\(host.rawValue.plainText(limit: 80)) is not a member of the cluster"
        case .wrongSigner(let key): "it is signed with key \(key.plainText(limit: 80)), which its host does not have"
        case .altered: "its signature is invalid: it was altered, or not signed by its host"
        case .wrongPlace(let vm, let host):
            "it is the copy of \(vm.rawValue.plainText(limit: 80)) by \(host.rawValue.plainText(limit: 80)), "
                + "and was copied or renamed"
        case .fromTheFuture(let ahead): "its time is \(ahead.text) ahead of this host's clock; check both clocks"
        }
    }
}
