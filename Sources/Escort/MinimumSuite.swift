// SPDX-License-Identifier: Apache-2.0
internal import Fleet

extension MinimumSuite {
    /// strongSwan's proposals for IKE, the strongest first.
    var ikeProposals: String { sizes.map { "aes\($0)gcm16-prfsha256-x25519" }.joined(separator: ",") }
    /// strongSwan's proposals for ESP.
    var espProposals: String { sizes.map { "aes\($0)gcm16-x25519" }.joined(separator: ",") }

    private var sizes: [Int] { self == .aes256 ? [256] : [256, 128] }

    func accepts(keySize: String) -> Bool { sizes.contains { "\($0)" == keySize } }

    /// Whether a TLS session is strong enough: 1.3, or 1.2 with an ephemeral exchange, and a cipher of the size.
    func accepts(_ session: SessionFacts) -> Bool {
        let suite = session.suite.replacing("-", with: "_")
        let isEphemeral = session.version == "TLSv1.3" || (session.version == "TLSv1.2" && suite.hasPrefix("ECDHE"))
        let isStrong = suite.contains("AES_256_GCM") || suite.contains("AES256_GCM") || suite.contains("CHACHA20")
        let isGood = suite.contains("AES_128_GCM") || suite.contains("AES128_GCM")
        return isEphemeral && (isStrong || (self == .aes128 && isGood))
    }

    /// What is wrong with an association; `nil` when nothing is.
    func weakness(of association: IKEAssociation, _ child: IKEAssociation.Child) -> String? {
        if association.version != "2" { return "IKEv\(association.version) was negotiated, not IKEv2" }
        if !accepts(association.suite) || association.suite.pseudoRandom.isEmpty {
            return "its IKE suite is \(association.suite.description), below the minimum suite, \(rawValue) with X25519"
        }
        if !accepts(child.suite) {
            return "its ESP suite is \(child.suite.description), below the minimum suite, \(rawValue) with X25519"
        }
        if child.securityProtocol != "ESP" {
            return "its protocol is \(child.securityProtocol), which does not encrypt"
        }
        if child.mode != "TUNNEL" { return "its mode is \(child.mode), not TUNNEL" }
        return nil
    }

    private func accepts(_ suite: IKEAssociation.Suite) -> Bool {
        suite.encryption == "AES_GCM_16" && accepts(keySize: suite.keySize) && suite.keyExchange == "CURVE_25519"
    }
}
