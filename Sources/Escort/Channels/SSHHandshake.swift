// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// How this host reaches its peers' libvirt over ssh.
public struct SSHAccess: Sendable, Equatable {
    /// A libvirt URI in which `{address}` stands for the peer's address.
    public var uriTemplate: String

    public init(uriTemplate: String) { self.uriTemplate = uriTemplate }

    /// The user in the URI, if any.
    var user: String? { authority.lastIndex(of: "@").map { String(authority[..<$0]) } }
    public var port: Int? {
        guard let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("}") else { return nil }
        return Int(authority[authority.index(after: colon)...])
    }
    var keyFile: String? {
        guard let query = uriTemplate.split(separator: "?", maxSplits: 1).dropFirst().first else { return nil }
        return query.split(separator: "&").first { $0.hasPrefix("keyfile=") }.map { String($0.dropFirst(8)) }
    }

    func uri(of peer: MeshPlan.Member) -> String {
        uriTemplate.replacing("{address}", with: peer.address.description.inURI)
    }

    /// The part between `://` and the path.
    private var authority: Substring {
        guard let start = uriTemplate.firstRange(of: "://")?.upperBound else { return "" }
        return uriTemplate[start...].prefix { $0 != "/" && $0 != "?" }
    }
}

/// An ssh login to a peer without effect: verifies the peer's host key, and shows the negotiated cipher.
struct SSHHandshake: Sendable {
    let runner: CommandRunner
    let access: SSHAccess

    struct Result: Sendable, Equatable {
        var session: SessionFacts
        /// For example `ssh-ed25519 SHA256:…`.
        var hostKey: String
    }

    /// Logs in and returns the negotiated session.
    ///
    /// Throws unless the peer's host key is known, the login needs no operator, and the cipher reaches the minimum.
    func perform(with peer: MeshPlan.Member, minimum: MinimumSuite, within limit: Duration) async throws -> Result {
        let seconds = max(1, Int(limit.inSeconds))
        var arguments = ["-v", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        arguments += ["-o", "ConnectTimeout=\(seconds)"]
        if let key = access.keyFile { arguments += ["-i", key] }
        if let port = access.port { arguments += ["-p", "\(port)"] }
        let destination = (access.user.map { "\($0)@" } ?? "") + peer.address.description
        let result: CommandResult
        do {
            result = try await runner(
                Command("ssh", arguments + [destination, "true"], environment: ["LC_ALL": "C"], timeLimit: limit)
            )
        } catch let error as CommandError {
            throw EscortError.noSSH(peer.name, reason: error.description)
        }
        guard result.succeeded else {
            let said = result.standardError.split(whereSeparator: \.isNewline)
                .filter { !$0.hasPrefix("debug1:") && !$0.hasPrefix("OpenSSH_") }
            throw EscortError.noSSH(peer.name, reason: said.suffix(2).joined(separator: "; "))
        }
        guard let found = Self.read(result.standardError) else {
            throw EscortError.noSSH(peer.name, reason: "the output of ssh does not contain the negotiated cipher")
        }
        guard minimum.acceptsSSH(found.session) else {
            throw EscortError.noSSH(
                peer.name,
                reason: "the cipher \(found.session.suite) is below the minimum suite, \(minimum.rawValue)"
            )
        }
        return found
    }

    /// Parses the output of `ssh -v` about the negotiation.
    static func read(_ text: String) -> Result? {
        var cipher: String?
        var hostKey: String?
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("debug1: kex: client->server cipher: ") {
                cipher = line.dropFirst("debug1: kex: client->server cipher: ".count).split(separator: " ").first
                    .map(String.init)
            } else if line.hasPrefix("debug1: Server host key: ") {
                hostKey = String(line.dropFirst("debug1: Server host key: ".count))
            }
        }
        guard let cipher, let hostKey else { return nil }
        return Result(session: SessionFacts(version: "SSH-2.0", suite: cipher), hostKey: hostKey)
    }
}
