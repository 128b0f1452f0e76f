// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet

extension ESPImplementation {
    /// The TUN device of strongSwan's user-space ESP.
    static let userSpaceDevice = "ipsec0"

    /// What charon's list of loaded plugins means: whichever of the two plugins comes first handles ESP.
    ///
    /// `nil` when neither is loaded: charon then cannot set up any SA.
    init?(loadedPlugins: [String]) {
        switch loadedPlugins.first(where: { ["kernel-libipsec", "kernel-netlink", "kernel-pfkey"].contains($0) }) {
        case "kernel-libipsec": self = .userSpace
        case .some: self = .kernel
        case nil: return nil
        }
    }

    /// What this machine's kernel can do: for whoever writes a strongswan.conf.
    ///
    /// Tries a real AES-GCM SA in a network namespace that ends with the command. What charon then loaded is what
    /// counts as evidence, not this.
    public static func availableOnThisMachine(runner: CommandRunner = .local) async throws -> Self {
        try await runner(kernelProbe).succeeded ? .kernel : .userSpace
    }

    private static let kernelProbe = Command(
        "unshare",
        [
            "--net", "ip", "xfrm", "state", "add", "src", "127.0.0.1", "dst", "127.0.0.1", "proto", "esp",
            "spi", "0x1000", "mode", "tunnel", "aead", "rfc4106(gcm(aes))",
            // 256 bits of key and 32 of salt, used by nothing.
            "0x" + String(repeating: "5a", count: 36), "128",
        ],
        timeLimit: .seconds(5)
    )
}
