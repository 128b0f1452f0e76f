// SPDX-License-Identifier: Apache-2.0
internal import Fleet
public import Ledger

/// An error of an identity or of the cluster's authority: what failed, on what, and the next step.
///
/// No message contains a key.
public enum IdentityError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file or folder that cannot be read, written or trusted.
    case file(path: String, reason: String)
    /// The file to create already exists.
    case exists(path: String)
    /// The `openssl` command failed.
    case openSSL(step: String, reason: String)
    case badKey(path: String, reason: String)
    /// Key and certificate are not a pair.
    case keyMismatch(key: String, certificate: String)
    case expired(path: String, at: String)
    case notYetValid(path: String, from: String)
    /// No anchor of the cluster issued the certificate, or it was revoked.
    case notTrusted(path: String, reason: String)
    /// The roster is not signed by an anchor that this member trusts.
    case foreignRoster(path: String)
    /// The roster is older than one seen before, or differs from one with the same number.
    case rolledBack(seen: UInt64, published: UInt64)
    /// The published roster is newer than this cluster folder's, or differs from it with the same number.
    case publishedIsNewer(path: String, published: UInt64, own: UInt64)
    /// The roster does not list the key in this folder.
    case notAMember(folder: String)
    /// The roster lists the member with another key: it was added again after this folder was created.
    case replaced(LedgerWriter)
    /// The member was removed; `reason` states when and why.
    case revoked(LedgerWriter, reason: String)
    case badName(String)
    case badAddress(String)
    /// A host's address on the LAN and its inner address are the same.
    case sameAddress(String)
    case addressTaken(String, by: LedgerWriter)
    /// The range of inner addresses is full or, if `onLAN` is set, contains this address of the LAN.
    case noInnerAddress(range: String, onLAN: String?)
    case alreadyMember(LedgerWriter)
    case unknownMember(LedgerWriter, known: [String])
    /// Hosts may not have received the previous step of the rotation yet.
    case tooEarly(secondsLeft: Int)

    public var description: String {
        switch self {
        case .file(let path, let reason): "cannot use '\(path)': \(reason)"
        case .exists(let path):
            "'\(path)' already exists and is not overwritten. Choose another folder, or move the old files away."
        case .openSSL(let step, let reason): "\(step) failed: \(reason)"
        case .badKey(let path, let reason):
            "cannot use the key '\(path)': \(reason). Create a new key with 'evenkeel host add --replace'."
        case .keyMismatch(let key, let certificate):
            "'\(certificate)' is not the certificate of the key '\(key)'. Install both from the same bundle."
        case .expired(let path, let at):
            "'\(path)' expired on \(at). Renew it with 'evenkeel certificates rotate'."
        case .notYetValid(let path, let from):
            "'\(path)' is not valid before \(from). Check this machine's clock."
        case .notTrusted(let path, let reason):
            "'\(path)' is not a valid certificate of this cluster (\(reason)). Install this host's bundle."
        case .foreignRoster(let path):
            "roster '\(path)' rejected: no certificate authority that is trusted here signed it."
                + " Publish the cluster's own roster with 'evenkeel certificates publish'."
        case .rolledBack(let seen, let published) where seen == published:
            "published roster rejected: it differs from the roster seen with the same number \(seen)."
                + " Two cluster folders are in use, or the roster was altered."
        case .rolledBack(let seen, let published):
            "published roster rejected: it has number \(published), but number \(seen) was seen before (a rollback)."
                + " Publish the newest roster with 'evenkeel certificates publish'."
        case .publishedIsNewer(let path, let published, let own):
            "cannot publish roster number \(own): '\(path)' already holds roster number \(published) of this cluster. This"
                + " cluster folder is an old copy, or two are in use. Continue with the newest cluster folder."
        case .notAMember(let folder):
            "the roster in '\(folder)' lists no member with the key there. Install its bundle."
        case .replaced(let name): "\(name) has new keys. Install its new bundle in place of this one."
        case .revoked(.host(let host), let reason):
            "\(host) was removed from the cluster \(reason); \(host.additionHint)"
        case .revoked(let name, let reason): "\(name) was removed from the cluster \(reason)"
        case .badName(let name):
            "'\(name)' is not a host name: 1 to 63 letters, digits, '-', '.' or '_', starting with a letter or digit"
        case .badAddress(let address): "'\(address)' is not an IP address"
        case .sameAddress(let address):
            "\(address) cannot be both the host's address on the LAN and its inner address. Choose an inner address that"
                + " exists nowhere else."
        case .addressTaken(let address, let member):
            "\(address) is already an address of \(member). Choose another address, or remove that member first."
        case .noInnerAddress(let range, let onLAN):
            "cannot choose an inner address: \(range) "
                + (onLAN.map { "contains \($0), which is on the LAN" } ?? "is full")
                + ". Set --inner-address to an address that exists nowhere else."
        case .alreadyMember(let name): "\(name) is already in the cluster; --replace gives it new keys"
        case .unknownMember(let name, let known):
            "\(name) is not in the cluster; its members are \(known.joined(separator: ", "))"
        case .tooEarly(let seconds):
            "the previous step may not have reached all hosts. Wait \(seconds) s more, or use --now if all hosts have it."
        }
    }
}
