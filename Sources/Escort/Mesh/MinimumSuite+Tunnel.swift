// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension MinimumSuite {
    /// strongSwan's proposals for IKE, the strongest first.
    var ikeProposals: String { keySizes.map { "aes\($0)gcm16-prfsha256-x25519" }.joined(separator: ",") }
    /// strongSwan's proposals for ESP.
    var espProposals: String { keySizes.map { "aes\($0)gcm16-x25519" }.joined(separator: ",") }

    /// Returns why an association is below the minimum; `nil` if it is not.
    func weakness(of association: IKEAssociation, _ child: IKEAssociation.Child) -> TunnelWeakness? {
        let (ike, esp) = (association.suite.description, child.suite.description)
        if association.version != "2" { return .ikeVersion(association.version) }
        if !acceptsIPsec(ike) || association.suite.pseudoRandom.isEmpty { return .ikeSuite(ike, self) }
        if !acceptsIPsec(esp) { return .espSuite(esp, self) }
        if child.securityProtocol != "ESP" { return .securityProtocol(child.securityProtocol) }
        if child.mode != .tunnel { return .mode(child.mode) }
        return nil
    }
}

/// Why a tunnel is below the minimum.
public enum TunnelWeakness: Sendable, Equatable, CustomStringConvertible {
    case ikeVersion(String)
    case ikeSuite(String, MinimumSuite)
    case espSuite(String, MinimumSuite)
    /// A protocol that does not encrypt, such as AH.
    case securityProtocol(String)
    case mode(SecurityAssociation.Mode)

    public var description: String {
        switch self {
        case .ikeVersion(let version): "IKEv\(version) was negotiated, not IKEv2"
        case .ikeSuite(let suite, let minimum):
            "its IKE suite is \(suite), below the minimum suite, \(minimum.rawValue) with X25519"
        case .espSuite(let suite, let minimum):
            "its ESP suite is \(suite), below the minimum suite, \(minimum.rawValue) with X25519"
        case .securityProtocol(let name): "its protocol is \(name), which does not encrypt"
        case .mode(let mode): "its mode is \(mode.rawValue), not TUNNEL"
        }
    }
}
