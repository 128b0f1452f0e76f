// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc
internal import Synchronization

/// A member's key and roster for signing and verifying records, from its identity folder.
///
///     key.pem       its private key, readable by its owner alone
///     roster.json   the newest signed roster that it has seen, its root of trust
public struct MemberFolder: Sendable {
    public let path: String
    public let roster: CurrentRoster
    private let lastCheck = LastCheck()

    /// A newer roster in the ledger's folder takes effect within this time.
    private static let interval: Duration = .seconds(10)

    /// Reads the folder; throws `MemberFolderError` if there is no roster, or none of its own authorities signed it.
    public init(_ path: String) throws {
        self.path = path
        let file = "\(path)/\(SignedRoster.fileName)"
        let bytes = try Self.bytes(of: file, whose: .ours)
        guard let signed = try? SignedRoster(json: bytes), let claimed = try? signed.unverified(),
            let roster = try? signed.verified(by: claimed.anchors.map(\.key))
        else { throw MemberFolderError(path: file, reason: "it is not a roster signed by one of its own authorities") }
        self.roster = CurrentRoster(roster)
    }

    /// Adopts the roster in the ledger's folder if it is newer and an authority trusted here signed it.
    ///
    /// It applies only to this process. `IdentityFolder.update` stores it in the folder, so that an older one is
    /// rejected later.
    public func adoptRoster(inLedger folder: String) {
        let current = roster.roster
        guard let bytes = try? Self.bytes(of: "\(folder)/\(SignedRoster.fileName)", whose: .anyone),
            let published = try? SignedRoster(json: bytes).verified(by: current.anchors.map(\.key)),
            published.cluster == current.cluster, published.number > current.number
        else { return }
        roster.roster = published
    }

    /// Returns the security for signing with the folder's key and verifying with the newest trusted roster.
    ///
    /// If the key is not required, a folder without a key that this user can read allows only reading.
    public func security(
        inLedger ledger: String,
        requiringKey: Bool,
        withKey: Bool = true
    ) throws -> LedgerSecurity {
        let file = "\(path)/key.pem"
        let isThere = withKey && access(file, R_OK) == 0
        let key = isThere || requiringKey ? try Self.key(in: file) : nil
        // The log calls this on its own queues, where blocking is allowed.
        return .signed(by: key) {
            if lastCheck.isDue(after: Self.interval) { adoptRoster(inLedger: ledger) }
            return roster.roster
        }
    }

    private final class LastCheck: Sendable {
        private let instant = Mutex<ContinuousClock.Instant?>(nil)

        /// Returns whether the next check is due, and records it as done.
        func isDue(after interval: Duration) -> Bool {
            instant.withLock { last in
                let now = ContinuousClock.now
                if let last, now - last < interval { return false }
                last = now
                return true
            }
        }
    }

    private static func key(in file: String) throws -> SigningKey {
        let bytes = try bytes(of: file, whose: .secret)
        do { return try SigningKey(pem: String(decoding: bytes, as: UTF8.self)) } catch {
            throw MemberFolderError(path: file, reason: "it is not a P-256 key in PEM")
        }
    }

    /// Requirements on who can write and read a file.
    private enum Owner {
        /// Any user; a signature must prove the content.
        case anyone
        /// No other user can write it.
        case ours
        /// No other user can write or read it.
        case secret
    }

    /// Maximum size of a file in bytes; a roster is far smaller.
    private static let maximumBytes = 32 << 20

    private static func bytes(of path: String, whose owner: Owner) throws -> [UInt8] {
        let missing = MemberFolderError(
            path: path,
            reason: "it does not exist",
            advice:
                "create it with 'evenkeel init' or 'evenkeel host add', or set ledger.unsigned on every host to work "
                + "without identities"
        )
        do {
            guard let file = try OpenFile.open(path, flags: O_RDONLY) else { throw missing }
            let status = try file.status()
            if owner != .anyone {
                guard status.st_uid == geteuid() || (owner == .ours && status.st_uid == 0) else {
                    let reason = "it belongs to another user"
                    throw MemberFolderError(path: path, reason: reason, advice: "chown it, or run this as that user")
                }
                let others: mode_t = owner == .secret ? 0o077 : 0o022
                guard status.st_mode & others == 0 else {
                    let reason = "users other than its owner can \(owner == .secret ? "read or write" : "write") it"
                    let mode = owner == .secret ? "600" : "644"
                    throw MemberFolderError(
                        path: path,
                        reason: reason,
                        advice: "chmod \(mode) \(path), and get new keys if others had access"
                    )
                }
            }
            guard status.st_size <= maximumBytes else {
                throw MemberFolderError(path: path, reason: "it is larger than 32 MiB")
            }
            return try file.read(at: 0, count: Int(status.st_size))
        } catch let error as LedgerError {
            throw MemberFolderError(path: path, reason: "\(error)", advice: "run this as a user who can read it")
        }
    }
}

/// An error of a member's folder.
public struct MemberFolderError: Error, Sendable, Equatable, CustomStringConvertible {
    public var path: String
    public var reason: String
    /// The next step.
    public var advice =
        "install the member's bundle again (created by 'evenkeel host add', or by 'evenkeel init' for the "
        + "controller and the operator)"

    public var description: String { "\(path): \(reason); \(advice)" }
}
