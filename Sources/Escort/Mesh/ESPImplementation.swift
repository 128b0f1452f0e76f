// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet

extension ESPImplementation {
    /// The TUN device of strongSwan's user-space ESP.
    static let userSpaceDevice = "ipsec0"

    /// Derives the implementation from charon's loaded plugins: the first ESP plugin in the list handles ESP.
    ///
    /// `nil` if none is loaded; charon then cannot set up any SA.
    init?(loadedPlugins: [String]) {
        switch loadedPlugins.first(where: { ["kernel-libipsec", "kernel-netlink", "kernel-pfkey"].contains($0) }) {
        case "kernel-libipsec": self = .userSpace
        case .some: self = .kernel
        case nil: return nil
        }
    }

    /// Returns the implementation that this machine's kernel supports, for writing a strongswan.conf.
    ///
    /// Tries a real AES-GCM SA in a network namespace that ends with the command. This is no evidence: only the plugins
    /// that charon then loads count.
    public static func availableOnThisMachine(runner: CommandRunner = .local) async throws -> Self {
        try await runner(kernelProbe).succeeded ? .kernel : .userSpace
    }

    private static let kernelProbe = Command(
        "unshare",
        [
            "--net", "ip", "xfrm", "state", "add", "src", "127.0.0.1", "dst", "127.0.0.1", "proto", "esp",
            "spi", "0x1000", "mode", "tunnel", "aead", "rfc4106(gcm(aes))",
            // A dummy key of 256 bits and a salt of 32 bits.
            "0x" + String(repeating: "5a", count: 36), "128",
        ]
    )
}
