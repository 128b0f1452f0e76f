// SPDX-License-Identifier: Apache-2.0
internal import Fleet

extension MinimumSuite {
    /// strongSwan's proposals for IKE, the strongest first.
    var ikeProposals: String { keySizes.map { "aes\($0)gcm16-prfsha256-x25519" }.joined(separator: ",") }
    /// strongSwan's proposals for ESP.
    var espProposals: String { keySizes.map { "aes\($0)gcm16-x25519" }.joined(separator: ",") }

    /// What is wrong with an association; `nil` when nothing is.
    func weakness(of association: IKEAssociation, _ child: IKEAssociation.Child) -> String? {
        if association.version != "2" { return "IKEv\(association.version) was negotiated, not IKEv2" }
        if !acceptsIPsec(association.suite.description) || association.suite.pseudoRandom.isEmpty {
            return "its IKE suite is \(association.suite.description), below the minimum suite, \(rawValue) with X25519"
        }
        if !acceptsIPsec(child.suite.description) {
            return "its ESP suite is \(child.suite.description), below the minimum suite, \(rawValue) with X25519"
        }
        if child.securityProtocol != "ESP" {
            return "its protocol is \(child.securityProtocol), which does not encrypt"
        }
        if child.mode != .tunnel { return "its mode is \(child.mode.rawValue), not TUNNEL" }
        return nil
    }
}
