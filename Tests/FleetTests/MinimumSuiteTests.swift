// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

/// The rule for strong suites, both for negotiated ones and for later checks.
struct MinimumSuiteTests {
    private func accepted(_ isAccepted: (MinimumSuite) -> Bool) -> [MinimumSuite] {
        MinimumSuite.allCases.filter(isAccepted)
    }

    private static let tls: [(version: String, suite: String, by: [MinimumSuite])] = [
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", [.aes256, .aes128]),
        ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", [.aes256, .aes128]),
        ("TLSv1.3", "TLS_AES_128_GCM_SHA256", [.aes128]),
        ("TLSv1.3", "TLS_AES_128_CCM_SHA256", []),
        ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384", [.aes256, .aes128]),
        ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", [.aes128]),
        // No ephemeral key exchange; no AEAD; too old a version.
        ("TLSv1.2", "AES256-GCM-SHA384", []),
        ("TLSv1.2", "ECDHE-ECDSA-AES256-SHA", []),
        ("TLSv1.1", "ECDHE-ECDSA-AES256-GCM-SHA384", []),
    ]

    @Test(arguments: tls) func `a minimum suite accepts only strong TLS sessions`(
        version: String,
        suite: String,
        by minima: [MinimumSuite]
    ) {
        #expect(accepted { $0.acceptsTLS(SessionFacts(version: version, suite: suite)) } == minima)
    }

    private static let ssh: [(version: String, cipher: String, by: [MinimumSuite])] = [
        ("SSH-2.0", "aes256-gcm@openssh.com", [.aes256, .aes128]),
        ("SSH-2.0", "chacha20-poly1305@openssh.com", [.aes256, .aes128]),
        ("SSH-2.0", "aes128-gcm@openssh.com", [.aes128]),
        // Its integrity comes from another algorithm.
        ("SSH-2.0", "aes256-ctr", []),
        ("SSH-1.99", "aes256-gcm@openssh.com", []),
    ]

    @Test(arguments: ssh) func `a minimum suite accepts only strong SSH sessions`(
        version: String,
        cipher: String,
        by minima: [MinimumSuite]
    ) {
        #expect(accepted { $0.acceptsSSH(SessionFacts(version: version, suite: cipher)) } == minima)
    }

    private static let ipsec: [(suite: String, by: [MinimumSuite])] = [
        ("AES_GCM_16-256/CURVE_25519", [.aes256, .aes128]),
        ("IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519", [.aes256, .aes128]),
        ("AES_GCM_16-128/CURVE_25519", [.aes128]),
        ("AES_GCM_16-256", []),
        ("AES_GCM_16-256/MODP_2048", []),
        ("AES_GCM_8-256/CURVE_25519", []),
        ("AES_CBC-256/HMAC_SHA2_256_128/CURVE_25519", []),
        ("NULL/CURVE_25519", []),
        ("", []),
    ]

    @Test(arguments: ipsec) func `a minimum suite accepts only strong IPsec suites`(
        suite: String,
        by minima: [MinimumSuite]
    ) {
        #expect(accepted { $0.acceptsIPsec(suite) } == minima)
    }
}
