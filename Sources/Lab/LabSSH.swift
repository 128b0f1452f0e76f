// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// ssh between the lab's hosts: each has its own host key and login key, and knows those of the others in advance.
///
/// All files are in the host's private /etc/ssh, so ssh works in the same way for libvirt, agent and operator.
struct LabSSH: Sendable {
    /// The path inside the host.
    static let loginKey = "/etc/ssh/id_ed25519"
    private static let hostKey = "/etc/ssh/ssh_host_ed25519_key"
    /// The ciphers of clients and servers: first the strong ones that AES instructions make fast.
    private static let ciphers = "aes256-gcm@openssh.com,chacha20-poly1305@openssh.com"

    /// Creates the keys and files of all hosts, whose folders must exist.
    func make(for hosts: [LabHost]) async throws {
        for host in hosts {
            try Files.makeFolder("\(host.folder)/etc/ssh")
            for key in [Self.loginKey, Self.hostKey] {
                try await Command(
                    "ssh-keygen",
                    ["-q", "-t", "ed25519", "-N", "", "-C", "\(host.name)", "-f", host.folder + key]
                ).run()
            }
        }
        let logins = try hosts.map { try Files.text("\($0.folder)\(Self.loginKey).pub") }.joined()
        let known = try hosts.map { host in
            "\(host.address),\(host.name) " + (try Files.text("\(host.folder)\(Self.hostKey).pub"))
        }.joined()
        for host in hosts {
            let folder = "\(host.folder)/etc/ssh"
            try Files.write(logins, to: "\(folder)/authorized_keys", mode: 0o600)
            try Files.write(known, to: "\(folder)/ssh_known_hosts")
            try Files.write(Self.client, to: "\(folder)/ssh_config")
            try Files.write(Self.server(on: host.address), to: "\(folder)/sshd_config")
            // Without PAM, sshd refuses a locked account, and root is locked on some machines.
            try Files.write("root:*:20000:0:99999:7:::\n", to: "\(host.folder)/shadow", mode: 0o600)
        }
    }

    /// Unknown host keys are refused, because there is no operator to ask.
    private static let client = """
        StrictHostKeyChecking yes
        UserKnownHostsFile none
        BatchMode yes
        Ciphers \(ciphers)

        """

    private static func server(on address: String) -> String {
        """
        ListenAddress \(address):22
        HostKey \(hostKey)
        AuthorizedKeysFile /etc/ssh/authorized_keys
        PermitRootLogin prohibit-password
        AllowUsers root
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        UsePAM no
        UseDNS no
        PidFile none
        Ciphers \(ciphers)

        """
    }
}
