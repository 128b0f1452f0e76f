// SPDX-License-Identifier: Apache-2.0

/// The least a tunnel must be.
enum Strength {
    /// What is wrong with an association; `nil` when nothing is.
    static func weakness(of association: IKEAssociation, _ child: IKEAssociation.Child) -> String? {
        if association.version != "2" { return "IKEv\(association.version) was negotiated, not IKEv2" }
        if !association.suite.isStrong || association.suite.pseudoRandom.isEmpty {
            return "its IKE suite is \(association.suite.description), not AES_GCM_16-256 with CURVE_25519"
        }
        if !child.suite.isStrong {
            return "its ESP suite is \(child.suite.description), not AES_GCM_16-256 with CURVE_25519"
        }
        if child.securityProtocol != "ESP" {
            return "its protocol is \(child.securityProtocol), which does not encrypt"
        }
        if child.mode != "TUNNEL" { return "its mode is \(child.mode), not TUNNEL" }
        return nil
    }
}
