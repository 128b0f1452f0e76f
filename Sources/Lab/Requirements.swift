// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Glibc

/// Checks whether this machine has everything that a lab needs.
enum Requirements {
    /// Required programs, each with its Debian package.
    private static let programs = [
        ("ip", "iproute2"), ("nsenter", "util-linux"), ("unshare", "util-linux"), ("setsid", "util-linux"),
        ("tgtd", "tgt"), ("tgtadm", "tgt"), ("libvirtd", "libvirt-daemon-system"), ("virsh", "libvirt-clients"),
        ("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils"),
        ("swanctl", "strongswan-swanctl"), ("tcpdump", "tcpdump"), ("nft", "nftables"), ("cc", "gcc"),
        ("openssl", "openssl"), ("sshd", "openssh-server"), ("ssh", "openssh-client"),
        ("apt-get", "apt"), ("dpkg-deb", "dpkg"),
    ]

    /// Required files, each with its Debian package.
    private static let files = [
        ("/usr/lib/ipsec/charon", "strongswan-charon"),
        ("/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so", "libcharon-extra-plugins"),
        ("/usr/lib/ipsec/plugins/libstrongswan-openssl.so", "libstrongswan-standard-plugins"),
        ("/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so", "qemu-block-extra"),
        ("/usr/lib/x86_64-linux-gnu/libc.a", "libc6-dev"),
    ]

    /// Returns one line for each missing requirement: what is missing, why the lab needs it, and how to get it.
    ///
    /// Empty if a lab is possible.
    static func missing() async -> [String] {
        guard geteuid() == 0 else { return ["root: the lab needs namespaces, cgroups and mounts (use sudo)"] }
        var missing: [String] = []
        do {
            _ = try CgroupLayout.ofThisMachine()
        } catch {
            missing.append("a CPU quota for each host: \(error)")
        }
        if !Files.exists("/dev/net/tun") {
            missing.append("/dev/net/tun, for the guests' network and user-space IPsec (modprobe tun)")
        }
        var packages: Set<String> = []
        for (program, package) in programs where path(of: program) == nil { packages.insert(package) }
        for (file, package) in files where !Files.exists(file) { packages.insert(package) }
        if !packages.isEmpty {
            missing.append(
                "packages: apt-get install --no-install-recommends \(packages.sorted().joined(separator: " "))"
            )
        }
        if !packages.contains("iproute2"), !packages.contains("util-linux") {
            missing += await missingNamespaces()
        }
        return missing
    }

    /// Returns the path of the program; `nil` if it is not installed.
    static func path(of program: String) -> String? {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin", "/usr/lib/ipsec"].map { "\($0)/\(program)" }
            .first(where: Files.exists)
    }

    /// Tries to create a veth pair, a bridge and a mount, in a namespace that ends with the command.
    private static func missingNamespaces() async -> [String] {
        let attempt = """
            ip link add try1 type veth peer name try2 && ip link add try3 type bridge && ip link set try1 master try3 \
            && mount -t sysfs sysfs /sys
            """
        let result = try? await Command("unshare", ["-n", "-m", "-u", "/bin/sh", "-ec", attempt]).result()
        guard let result, !result.succeeded else { return [] }
        let reason = result.standardError.split(separator: "\n").joined(separator: " ")
        return ["network, mount and UTS namespaces with veth pairs and bridges: \(reason)"]
    }
}
