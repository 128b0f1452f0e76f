// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Pre-shared keys, as in the paper: one for the cluster, or one for each pair of hosts.
///
/// Each line of the file is `cluster KEY` or `pair HOST HOST KEY`; empty lines and lines that begin with `#` are
/// skipped. A pair's key takes precedence over the cluster's. A key has 32 to 256 printable characters without blanks,
/// for instance from `openssl rand -hex 32`. Any holder of the cluster's key can impersonate every host of the cluster.
public struct PreSharedKeys: Credentials, CustomStringConvertible, CustomReflectable {
    private var cluster: String?
    private var pairs: [Set<HostName>: String] = [:]

    static let keyLengths = 32...256

    /// Reads a key file, which must belong to the caller's user and be closed to all others.
    ///
    /// Blocks: call it at start.
    public init(contentsOf path: String) throws(EscortError) {
        try self.init(text: PrivateFile.read(path, secret: true), path: path)
    }

    init(text: String, path: String) throws(EscortError) {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard let kind = words.first, !kind.hasPrefix("#") else { continue }
            let at = "line \(number + 1)"
            guard let key = words.last, words.count == (kind == "pair" ? 4 : 2), ["cluster", "pair"].contains(kind)
            else {
                throw .badCredentials(path: path, reason: "\(at) is neither 'cluster KEY' nor 'pair HOST HOST KEY'")
            }
            guard Self.keyLengths.contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw .badCredentials(
                    path: path,
                    reason: "the key in \(at) is not \(Self.keyLengths.lowerBound) to \(Self.keyLengths.upperBound)"
                        + " printable characters; make one with 'openssl rand -hex 32'"
                )
            }
            if kind == "cluster" {
                guard cluster == nil else {
                    throw .badCredentials(path: path, reason: "\(at) is a second key of the cluster")
                }
                cluster = key
            } else {
                let pair: Set = [HostName(words[1]), HostName(words[2])]
                guard pair.count == 2, pairs.updateValue(key, forKey: pair) == nil else {
                    throw .badCredentials(
                        path: path,
                        reason: "the pair in \(at) names one host twice, or appears twice"
                    )
                }
            }
        }
        guard cluster != nil || !pairs.isEmpty else { throw .badCredentials(path: path, reason: "it contains no key") }
    }

    public func authentication(local: HostName, peer: HostName) throws -> Authentication {
        guard let key = pairs[[local, peer]] ?? cluster else {
            throw EscortError.badCredentials(
                path: "key file",
                reason: "it has no key for the pair \(local) and \(peer), and none for the cluster"
            )
        }
        let digits = Array("0123456789abcdef")
        let secret = "0x" + String(key.utf8.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        return Authentication(
            local: SwanctlSection("local", ["auth": "psk"]),
            remote: SwanctlSection("remote", ["auth": "psk"]),
            secrets: [
                SwanctlSection(
                    "ike",
                    [
                        "id-1": Authentication.identity(local),
                        "id-2": Authentication.identity(peer),
                        "secret": secret,
                    ]
                )
            ]
        )
    }

    /// A description without the keys.
    public var description: String { "pre-shared keys (\(cluster == nil ? 0 : 1) cluster, \(pairs.count) pairs)" }
    /// Hides the keys from dumps.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
