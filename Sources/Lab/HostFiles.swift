// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The files of one lab host: its private folders, its daemons' configuration, and the scripts that create and enter
/// its namespaces.
struct HostFiles: Sendable {
    let site: LabSite
    let plan: HostPlan
    let cgroups: Cgroups

    var name: String { plan.name.rawValue }
    var folder: String { "\(site.stateFolder)/\(name)" }
    var namespace: String { site.namespace(ofHost: plan.number) }
    var holderPIDFile: String { "\(folder)/holder.pid" }
    /// The script that runs its arguments inside the host's namespaces and cgroup.
    var enter: String { "\(folder)/enter" }
    var viciSocket: String { "\(folder)/charon.vici" }
    var sealedFolder: String { site.memoryFolder(ofHost: name) }
    var strongswanConf: String { "\(folder)/strongswan.conf" }

    func log(_ daemon: String) -> String { "\(folder)/logs/\(daemon).log" }

    /// Folders of the machine of which the host has its own version.
    private static let privateFolders = [
        "/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/etc/swanctl", "/etc/pki",
        "/etc/ssh",
    ]

    func write(kernelHasESP: Bool) throws {
        for path in ["logs", "cgroup", "run/netns", "run/libvirt", "run/sshd"] + Self.privateFolders {
            try Files.makeFolder("\(folder)/\(path)")
        }
        try Files.write(libvirtdConf, to: "\(folder)/etc/libvirt/libvirtd.conf")
        try Files.write(Self.qemuConf, to: "\(folder)/etc/libvirt/qemu.conf")
        try Files.write(strongswan(kernelHasESP: kernelHasESP), to: strongswanConf)
        try Files.write(holdScript, to: "\(folder)/hold", mode: 0o755)
        try Files.write(enterScript, to: enter, mode: 0o755)
    }

    private var joinSystemGroup: String {
        cgroups.procsFiles("\(name)/system").map { "echo $$ > \($0)" }.joined(separator: "\n")
    }

    /// The script that sets up the mount namespace and keeps the namespaces open while it runs.
    ///
    /// It starts inside the host's network namespace with its own mount and UTS namespaces.
    private var holdScript: String {
        let binds = Self.privateFolders.map { "[ ! -d \($0) ] || mount --bind \(folder)\($0) \($0)" }
        return """
            #!/bin/sh
            set -e
            \(joinSystemGroup)
            mount --make-rprivate /
            # Not on every machine, and empty there.
            mkdir -p /etc/pki
            # /sys must show this network namespace, and still the cgroup trees.
            mount --rbind /sys/fs/cgroup \(folder)/cgroup
            mount -t sysfs sysfs /sys
            mount --rbind \(folder)/cgroup /sys/fs/cgroup
            \(binds.joined(separator: "\n"))
            mount --bind \(site.hostsFile) /etc/hosts
            mount --bind \(folder)/shadow /etc/shadow
            # A /run of its own: pid files and sockets of two hosts must not meet.
            mount --bind \(folder)/run /run
            # The time at which this host was started, if it was started again.
            [ ! -f \(folder)/stat ] || mount --bind \(folder)/stat /proc/stat || echo "the boot time is the machine's" >&2
            hostname \(name)
            # libvirtd connects to the target's QEMU itself, and cannot be stopped in it: 15 s, not the kernel's 130.
            echo 3 > /proc/sys/net/ipv4/tcp_syn_retries || :
            echo $$ > \(holderPIDFile)
            exec sleep infinity

            """
    }

    private var enterScript: String {
        """
        #!/bin/sh
        # Runs a program inside lab host \(name): \(enter) virsh list
        set -e
        read -r holder < \(holderPIDFile)
        \(joinSystemGroup)
        # The lab's copies first: the agent calls swanctl by its name.
        PATH=\(site.programFolder):$PATH
        export PATH
        exec nsenter -t "$holder" -m -u -n -- "$@"

        """
    }

    /// libvirtd accepts the cluster's hosts over TLS with certificates, and no other clients.
    private var libvirtdConf: String {
        """
        listen_tls = 1
        crl_file = "/etc/pki/CA/cacrl.pem"
        tls_allowed_dn_list = [ \(allowedSubjects) ]
        listen_tcp = 0
        auth_unix_ro = "none"
        auth_unix_rw = "none"
        listen_addr = "0.0.0.0"
        host_uuid = "5eaf00d1-0000-4000-8000-\(hexadecimal(UInt64(plan.number), digits: 12))"

        """
    }

    /// The certificate subjects of the lab's hosts: controller and operator do not use libvirt.
    private var allowedSubjects: String { (1...99).map { "\"CN=h\($0)\"" }.joined(separator: ", ") }

    /// Settings for a namespace that is not a machine; real hosts keep libvirt's defaults.
    private static let qemuConf = """
        user = "root"
        group = "root"
        security_driver = "none"
        cgroup_controllers = [ ]
        namespaces = [ ]
        remember_owner = 0
        stdio_handler = "file"
        migrate_tls_x509_cert_dir = "/etc/pki/qemu"
        migrate_tls_x509_verify = 1

        """

    private func strongswan(kernelHasESP: Bool) -> String {
        let esp = kernelHasESP ? "" : "kernel-libipsec "
        return """
            charon {
                load = random nonce x509 revocation constraints pubkey pem pkcs1 pkcs8 openssl gcm aes sha1 sha2 hmac kdf curve25519 \
            \(esp)kernel-netlink socket-default vici updown
                cert_cache = no
                filelog {
                    stderr {
                        default = 1
                        flush_line = yes
                    }
                }
                plugins {
                    vici {
                        socket = unix://\(viciSocket)
                    }
                }
            }
            swanctl {
                load = pem pkcs1 pkcs8 x509 pubkey openssl random
            }

            """
    }
}
