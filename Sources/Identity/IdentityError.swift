// SPDX-License-Identifier: Apache-2.0
internal import Fleet
public import Ledger

/// What is wrong with an identity or the cluster's authority: what happened, to what, and what to do.
///
/// No message carries a key.
public enum IdentityError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file or folder that cannot be read, written or trusted.
    case file(path: String, reason: String)
    /// What was to be made is there already.
    case exists(path: String)
    /// The `openssl` command refused what it was given.
    case openSSL(step: String, reason: String)
    case badKey(path: String, reason: String)
    /// Key and certificate are not of one pair.
    case keyMismatch(key: String, certificate: String)
    case expired(path: String, at: String)
    case notYetValid(path: String, from: String)
    /// No anchor of the cluster vouches for the certificate.
    case notTrusted(path: String, reason: String)
    /// No anchor that this member trusts signed the roster.
    case foreignRoster(path: String)
    /// A roster older than one seen before, or another with the same number.
    case rolledBack(seen: UInt64, published: UInt64)
    /// What is published is newer than what this cluster folder has, or another with the same number.
    case publishedIsNewer(path: String, published: UInt64, own: UInt64)
    /// The roster does not know the key in this folder.
    case notAMember(folder: String)
    /// The roster lists the member with another key: it was added anew after this folder was made.
    case replaced(LedgerWriter)
    /// The member was removed; `reason`: when and why.
    case revoked(LedgerWriter, reason: String)
    case badName(String)
    case badAddress(String)
    /// A host's address on the LAN and the one inside the tunnels are the same.
    case sameAddress(String)
    case addressTaken(String, by: LedgerWriter)
    /// The range of the inner addresses is full or, where `onLAN` names an address in it, one of the LAN.
    case noInnerAddress(range: String, onLAN: String?)
    case alreadyMember(LedgerWriter)
    case unknownMember(LedgerWriter, known: [String])
    /// The next step of a rotation would leave behind hosts that have not seen the step before.
    case tooEarly(secondsLeft: Int)

    public var description: String {
        switch self {
        case .file(let path, let reason): "'\(path)' is not used: \(reason)"
        case .exists(let path): "'\(path)' is there already and is not overwritten"
        case .openSSL(let step, let reason): "\(step) failed: \(reason)"
        case .badKey(let path, let reason):
            "the key '\(path)' is not used: \(reason); make a new one with 'evenkeel host add --replace'"
        case .keyMismatch(let key, let certificate):
            "'\(certificate)' is not the certificate of the key '\(key)': install both from one bundle"
        case .expired(let path, let at):
            "'\(path)' expired on \(at): renew it with 'evenkeel certificates rotate'"
        case .notYetValid(let path, let from):
            "'\(path)' is valid from \(from) on only: check this machine's clock"
        case .notTrusted(let path, let reason):
            "no certificate authority of this cluster vouches for '\(path)' (\(reason)): install this host's bundle"
        case .foreignRoster(let path):
            "'\(path)' is not signed by a certificate authority that is trusted here: it is not taken up;"
                + " publish the cluster's own with 'evenkeel certificates publish'"
        case .rolledBack(let seen, let published) where seen == published:
            "the published roster differs from the one seen with the same number \(seen): it is not taken up;"
                + " two cluster folders are in use, or somebody changed it"
        case .rolledBack(let seen, let published):
            "the published roster is number \(published), but number \(seen) was seen: it was rolled back and is not"
                + " taken up; publish the newest with 'evenkeel certificates publish'"
        case .publishedIsNewer(let path, let published, let own):
            "'\(path)' is roster number \(published), signed by this cluster, and the cluster folder here is at \(own): it"
                + " is an old copy, or two are in use; go on with the newest cluster folder"
        case .notAMember(let folder): "the roster in '\(folder)' has no member with the key there: install its bundle"
        case .replaced(let name): "\(name) was given new keys: install its new bundle in place of this one"
        case .revoked(.host(let host), let reason):
            "\(host) was removed from the cluster \(reason); \(host.additionInWords)"
        case .revoked(let name, let reason): "\(name) was removed from the cluster \(reason)"
        case .badName(let name):
            "'\(name)' is no host name: 1 to 63 letters, digits, '-', '.' or '_' that begin with a letter or digit"
        case .badAddress(let address): "'\(address)' is not an IP address"
        case .sameAddress(let address):
            "\(address) cannot be both the host's address on the LAN and the one inside the tunnels: choose another for the"
                + " tunnels, which exists nowhere else"
        case .addressTaken(let address, let member):
            "\(address) is an address of \(member): give this host another, or remove that one first"
        case .noInnerAddress(let range, let onLAN):
            "no inner address is chosen: \(range), where it would be, "
                + (onLAN.map { "has \($0), which is on the LAN" } ?? "is full")
                + "; say --inner-address, with an address that exists nowhere else"
        case .alreadyMember(let name): "\(name) is in the cluster already; --replace gives it new keys"
        case .unknownMember(let name, let known):
            "\(name) is not in the cluster; there are \(known.joined(separator: ", "))"
        case .tooEarly(let seconds):
            "the step before was published a moment ago, and not all hosts may have it: wait \(seconds) s more, or say"
                + " --now if all have"
        }
    }
}
