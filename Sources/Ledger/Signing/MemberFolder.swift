// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc
internal import Synchronization

/// What a member of the cluster needs to sign and verify records, from its identity folder.
///
///     key.pem       its private key, readable by its owner alone
///     roster.json   the newest signed roster that it has seen: what it trusts
public struct MemberFolder: Sendable {
    public let path: String
    public let roster: CurrentRoster
    private let lookedAt = LookedAt()

    /// A newer roster in the ledger's folder counts within this time.
    private static let interval: Duration = .seconds(10)

    /// Throws `MemberFolderError` where there is no roster, or it does not hold together.
    public init(_ path: String) throws {
        self.path = path
        let file = "\(path)/\(SignedRoster.fileName)"
        let bytes = try Self.bytes(of: file)
        guard let signed = try? SignedRoster(json: bytes), let claimed = try? signed.unverified(),
            let roster = try? signed.verified(by: claimed.anchors.map(\.key))
        else { throw MemberFolderError(path: file, reason: "it is no roster that one of its own authorities signed") }
        self.roster = CurrentRoster(roster)
    }

    /// Goes by the roster that lies in the ledger's folder, if it is newer and an authority trusted here signed it.
    public func takeUpRoster(inLedger folder: String) {
        let current = roster.roster
        guard let bytes = try? Self.bytes(of: "\(folder)/\(SignedRoster.fileName)"),
            let published = try? SignedRoster(json: bytes).verified(by: current.anchors.map(\.key)),
            published.cluster == current.cluster, published.number > current.number
        else { return }
        roster.roster = published
    }

    /// Signs with the folder's key, and verifies by its roster or a newer one that appears in the ledger's folder.
    ///
    /// Where the key is not required, a folder without one, or one that this user may not read, is good for reading.
    public func security(
        inLedger ledger: String,
        requiringKey: Bool,
        withKey: Bool = true
    ) throws -> LedgerSecurity {
        let file = "\(path)/key.pem"
        let isThere = withKey && access(file, R_OK) == 0
        let key = isThere || requiringKey ? try Self.key(in: file) : nil
        // Read where the log reads and writes anyway, on its own queues.
        return .signed(by: key) {
            if lookedAt.isDue(after: Self.interval) { takeUpRoster(inLedger: ledger) }
            return roster.roster
        }
    }

    private final class LookedAt: Sendable {
        private let instant = Mutex<ContinuousClock.Instant?>(nil)

        /// Whether it is time to look again; then it counts as done.
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
        var status = stat()
        guard stat(file, &status) == 0 else {
            throw MemberFolderError(path: file, reason: String(cString: strerror(errno)))
        }
        guard status.st_mode & 0o077 == 0 else {
            throw MemberFolderError(path: file, reason: "others than its owner may read or write it: chmod 600 \(file)")
        }
        do {
            return try SigningKey(pem: String(decoding: try bytes(of: file), as: UTF8.self))
        } catch let error as MemberFolderError {
            throw error
        } catch {
            throw MemberFolderError(path: file, reason: "it is no P-256 key in PEM")
        }
    }

    private static func bytes(of file: String) throws -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(filePath: file)))
        } catch {
            throw MemberFolderError(path: file, reason: "it is not there, or this user may not read it")
        }
    }
}

/// Why a member's folder cannot be used.
public struct MemberFolderError: Error, Sendable, Equatable, CustomStringConvertible {
    public var path: String
    public var reason: String

    public var description: String {
        "\(path): \(reason); 'evenkeel init' and 'evenkeel host add' make it, and without identities "
            + "ledger.unsigned can be set on every host"
    }
}
