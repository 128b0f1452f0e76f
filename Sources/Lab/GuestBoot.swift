// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// The boot files of the guests: Debian's cloud kernel, and an initramfs with its modules and our guest program.
struct GuestBoot: Sendable {
    var kernel: String
    var initramfs: String
    var kernelName: String

    /// The kernel modules that a virtio disk and network card need.
    ///
    /// The guest program loads them in its own order.
    static let modules = [
        "drivers/virtio/virtio", "drivers/virtio/virtio_ring", "drivers/virtio/virtio_pci_legacy_dev",
        "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci", "drivers/block/virtio_blk",
        "net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net",
    ]

    /// Returns the boot files and the type of the guests' domains, from the cache if it has them.
    ///
    /// Labs that start at the same time share the cache, and fill it one after the other.
    static func prepared(
        in cache: String,
        progress: (String) -> Void
    ) async throws -> (boot: GuestBoot, domainType: String) {
        try Files.makeFolder(cache)
        let lock = try await lock(cache, progress: progress)
        let boot = try await prepare(cache: cache, progress: progress)
        let domainType = try await boot.domainType(cache: cache)
        extendLifetime(lock)
        return (boot, domainType)
    }

    /// Waits for the lock of the cache.
    private static func lock(_ cache: String, progress: (String) -> Void) async throws -> ProcessLock {
        // A download may take five minutes, twice if the package lists are old.
        let deadline = ContinuousClock.now + .seconds(900)
        var hasSaidSo = false
        while true {
            do { return try ProcessLock(path: "\(cache)/lock", purpose: "lab fills the cache") } catch {
                guard case .held = error, ContinuousClock.now < deadline else { throw error }
            }
            if !hasSaidSo { progress("waiting until another lab has filled \(cache)") }
            hasSaidSo = true
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Downloads the kernel and builds the initramfs, unless the cache has both for this version of the guest program.
    private static func prepare(cache: String, progress: (String) -> Void) async throws -> GuestBoot {
        let name: String
        do {
            name = try await kernel(cache: cache, progress: progress)
        } catch is CommandError {
            // Old package lists name a version that the archive no longer has.
            try await updateLists()
            name = try await kernel(cache: cache, progress: progress)
        }
        let folder = "\(cache)/\(name)"
        let source = PackageResources.guest_c
        let initramfs = "\(folder)/initramfs-\(hexadecimal(digest(source), digits: 16)).img"
        if !Files.exists(initramfs) {
            progress("building the guests' initramfs")
            try await build(initramfs, source: source, folder: folder)
        }
        return GuestBoot(kernel: "\(folder)/vmlinuz", initramfs: initramfs, kernelName: name)
    }

    /// Makes sure that the cache has the kernel; returns its package name.
    private static func kernel(cache: String, progress: (String) -> Void) async throws -> String {
        let name = try await kernelName(cache: cache)
        guard !Files.exists("\(cache)/\(name)/vmlinuz") else { return name }
        progress("downloading \(name)")
        try await download(name, to: "\(cache)/\(name)")
        return name
    }

    /// Returns the archive's current package, or without an answer the newest one in the cache.
    private static func kernelName(cache: String) async throws -> String {
        if let name = await offeredKernel() { return name }
        let cached = Files.entries(cache).filter { Files.exists("\(cache)/\($0)/vmlinuz") }
        if let name = cached.last { return name }
        // A fresh machine has no package lists yet.
        try await updateLists()
        guard let name = await offeredKernel() else {
            throw LabError.notPossibleHere([
                "a kernel for the guests: apt does not find linux-image-cloud-amd64; add Debian's archive to its sources"
            ])
        }
        return name
    }

    private static func offeredKernel() async -> String? {
        let answer = try? await Command("apt-cache", ["depends", "linux-image-cloud-amd64"]).run()
        for line in (answer ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "Depends:", let name = words.last, name.hasPrefix("linux-image-") {
                return String(name)
            }
        }
        return nil
    }

    private static func updateLists() async throws {
        try await Command("apt-get", ["-q", "-o", "Acquire::Retries=5", "update"], timeLimit: .seconds(120)).run()
    }

    private static func download(_ name: String, to folder: String) async throws {
        let work = "\(folder).partial"
        try Files.remove(work)
        try Files.makeFolder(work)
        let script = """
            cd "$1"
            apt-get -q -o Acquire::Retries=5 -o APT::Sandbox::User=root download "$2"
            dpkg-deb -x "$2"_*.deb unpacked
            mv unpacked/boot/vmlinuz-* vmlinuz.new
            mv unpacked/lib/modules/*/kernel modules
            rm -r unpacked "$2"_*.deb
            mv vmlinuz.new vmlinuz
            """
        try await Command("/bin/sh", ["-euc", script, "download", work, name], timeLimit: .seconds(300)).run()
        try await Command("mv", ["-T", work, folder]).run()
    }

    private static func build(_ initramfs: String, source: [UInt8], folder: String) async throws {
        let program = "\(folder)/guest"
        try Files.write(source, to: "\(program).c")
        try await Command(
            "cc",
            ["-O2", "-Wall", "-static", "-pthread", "-o", program, "\(program).c"],
            timeLimit: .seconds(60)
        ).run()
        try await Blocking.run {
            var archive = CpioArchive()
            archive.addFile("init", try Files.read(program), executable: true)
            archive.addFolder("modules")
            for module in modules {
                let file = module.split(separator: "/").last.map(String.init) ?? module
                archive.addFile("modules/\(file).ko", try Files.read("\(folder)/modules/\(module).ko"))
            }
            try Files.write(archive.finished(), to: "\(initramfs).new")
        }
        try await Command("mv", ["\(initramfs).new", initramfs]).run()
    }

    /// Returns the FNV-1a hash, which distinguishes versions of the guest program.
    private static func digest(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// Returns `kvm` if a kernel boots with it, otherwise `qemu` (software emulation).
    ///
    /// That /dev/kvm opens proves nothing: on some machines it creates VMs in which no kernel boots. The cache keeps
    /// the result for this machine's kernel.
    private func domainType(cache: String) async throws -> String {
        guard Files.exists("/dev/kvm") else { return "qemu" }
        let machine = try Files.text("/proc/sys/kernel/osrelease").split(separator: "\n").first ?? "unknown"
        let kept = "\(cache)/kvm-\(machine)-\(kernelName)"
        if let known = try? Files.text(kept) { return known }
        let console = "\(cache)/kvm-probe.console"
        try Files.remove(console)
        // Only the time limit ends QEMU, because the guest program never exits; its exit code has no meaning.
        let arguments = [
            "10", "qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-cpu", "qemu64", "-m", "96", "-nodefaults",
            "-display", "none", "-serial", "file:\(console)", "-kernel", kernel, "-initrd", initramfs,
            "-append", GuestDefinition.kernelArguments,
        ]
        _ = try await Command("timeout", arguments, timeLimit: .seconds(20)).result()
        let boots = ((try? Files.text(console)) ?? "").contains("EK start")
        try Files.write(boots ? "kvm" : "qemu", to: kept)
        try Files.remove(console)
        return boots ? "kvm" : "qemu"
    }
}
