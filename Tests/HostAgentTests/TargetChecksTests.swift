// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import Hypervisor
import TestSupport
import Testing

@testable import HostAgent

@Suite struct TargetChecksTests {
    private let tree: FixtureTree
    private let world = InMemoryWorld.sample(networks: ["default"])
    private var checks: TargetChecks

    init() throws {
        tree = try FixtureTree()
        try tree.write("8000.0\n", to: "class/net/br0/bridge/bridge_id")
        try tree.write("1500\n", to: "class/net/eth0/mtu")
        checks = TargetChecks(
            host: h2,
            order: OrderID("o1"),
            hypervisor: world.hypervisor(of: h2),
            resources: FixedMemory(load: MemoryLoad(totalBytes: 8 << 30, usedBytes: 4 << 30, availableBytes: 4 << 30)),
            memoryCeiling: 0.9,
            sys: tree.path
        )
    }

    @Test mutating func `a VM is accepted if every requirement is met`() async throws {
        try tree.write("a disk", to: "shared/web1.img")
        let path = "\(tree.path)/shared/web1.img"
        checks.sharedTypes = [try ObservedFile(at: path).fileSystem]
        let file = DiskFile(path: path, isReadOnly: false)
        let identified = await DiskFiles(order: checks.order).identified([file])
        let needs = VMRequirements.testVM(
            memory: 1 << 30,
            disks: [.file(path: path)],
            files: try identified.get(),
            networks: [.bridge(name: "br0"), .network(name: "default")]
        )
        #expect(await checks.unmet(needs) == [])
    }

    @Test(.enabled(if: geteuid() == 0, "making a device node needs root"))
    func `a block device is the same only if the kernel confirms it`() async throws {
        let path = "\(tree.path)/disk"
        #expect(mknod(path, S_IFBLK | 0o600, 253 << 8 | 7) == 0)
        try tree.write("  QEMU  42 \n", to: "dev/block/253:7/serial")
        let disks: [(String?, Bool)] = [("serial QEMU 42", true), ("serial QEMU 43", false), (nil, false)]
        for (identity, isSame) in disks {
            let failures = await checks.unmet(.testVM(disks: [.block(path: path, identity: identity)]))
            #expect(failures.map(\.check) == (isSame ? [] : [.storage]), "\(failures)")
        }
    }

    @Test mutating func `memory promised to other VMs is not available`() async {
        checks.promisedBytes = 3 << 30
        let failures = await checks.unmet(.testVM(memory: 1 << 30))
        #expect(failures.map(\.check) == [.memory])
        #expect(failures.first?.text.contains("3072 MiB promised to others") == true)
    }

    @Test mutating func `a VM that is off needs no memory`() async {
        checks.promisedBytes = 16 << 30
        checks.takesMemory = false
        #expect(await checks.unmet(.testVM(memory: 64 << 30)) == [])
    }

    @Test func `a VM needs its own memory and QEMU's`() async {
        let failures = await checks.unmet(.testVM(memory: 4 << 30))
        #expect(
            failures.map(\.description) == [
                "memory on h2: 4096 MiB available, 4160 MiB needed, QEMU's overhead included"
            ]
        )
    }

    @Test func `a VM that would take the host over its ceiling is refused with the share`() async {
        let failures = await checks.unmet(.testVM(memory: 3700 << 20))
        #expect(failures.map(\.check) == [.memory])
        #expect(failures.first?.text == "memory use would be 96 %, above policy.memory.upper (90 %)")
    }

    @Test func `an implausible amount of memory is refused and does not overflow`() async {
        #expect(await checks.unmet(.testVM(memory: .max)).map(\.check) == [.memory])
    }

    @Test mutating func `unknown free memory counts as insufficient`() async {
        checks = TargetChecks(
            host: h2,
            order: OrderID("o1"),
            hypervisor: world.hypervisor(of: h2),
            resources: FixedMemory(load: nil),
            memoryCeiling: 0.9,
            sys: tree.path
        )
        let failures = await checks.unmet(.testVM())
        #expect(failures.map(\.check) == [.memory])
        #expect(failures.first?.text.contains("cannot open /fixture/meminfo") == true)
    }

    @Test(arguments: ["br1", "eth0"])
    func `an interface that is not a bridge on this host is named`(name: String) async {
        let failures = await checks.unmet(.testVM(networks: [.bridge(name: name)]))
        #expect(failures == [PreflightFailure(check: .network, host: h2, reason: .host(.noBridge(name)))])
    }

    @Test func `the hypervisor judges a libvirt network`() async {
        let failures = await checks.unmet(.testVM(networks: [.network(name: "dmz")]))
        #expect(failures == [PreflightFailure(check: .network, host: h2, reason: .other("network 'dmz' is not there"))])
    }

    @Test mutating func `a network that ends at its host is refused unless it is stretched`() async {
        let reason = PreflightFailure.Reason.hypervisor(.networkIsLocal("default", mode: "nat"))
        world.change(h2) { $0.unmet = [PreflightFailure(check: .network, host: h2, reason: reason)] }
        #expect(await checks.unmet(.testVM()).map(\.reason.code) == ["network-local"])
        checks.stretchedNetworks = ["default"]
        #expect(await checks.unmet(.testVM()) == [])
    }

    @Test func `a missing file is named`() async {
        let path = "\(tree.path)/nfs/web1.img"
        let identity = FileIdentity(fileSystem: "nfs4", inode: 1, bytes: 1, mark: "m")
        let file = DiskFile(path: path, isReadOnly: false, identity: identity)
        let failures = await checks.unmet(.testVM(disks: [.file(path: path)], files: [file]))
        #expect(failures.map(\.check) == [.storage])
        #expect(failures.first?.text.hasPrefix("\(path) cannot be opened") == true)
        #expect(failures.first?.text.contains("No such file or directory") == true)
    }

    @Test func `a file of which the source proves nothing is refused`() async throws {
        try tree.write("a disk", to: "shared/web1.img")
        var needs = VMRequirements.testVM(disks: [.file(path: "\(tree.path)/shared/web1.img")])
        needs.files = nil
        #expect(await checks.unmet(needs).map(\.reason.code) == ["file-unproven"])
    }

    @Test(.timeLimit(.minutes(1))) func `an iSCSI address without a listener is refused soon`() async throws {
        let port = try LocalPort()
        let began = ContinuousClock.now
        let failures = await checks.unmet(.testVM(disks: [.iscsi(at: port.number)]))
        #expect(ContinuousClock.now - began < .seconds(20))
        #expect(failures.map(\.check) == [.storage])
        #expect(failures.first?.text.contains("iscsi://127.0.0.1:\(port.number)/iqn.2026-01.test:d/1") == true)
    }

    @Test(.timeLimit(.minutes(1))) mutating func `disks that never answer are given up in parallel`() async throws {
        let port = try LocalPort(listens: true)
        checks.storageTimeLimit = .seconds(2)
        let began = ContinuousClock.now
        let failures = await checks.unmet(.testVM(disks: (1...8).map { .iscsi(at: port.number, lun: $0) }))
        // One after the other they would take 16 s.
        #expect(ContinuousClock.now - began < .seconds(12))
        #expect(failures.map(\.check) == Array(repeating: .storage, count: 8))
        for (failure, lun) in zip(failures, 1...8) {
            #expect(failure.text.contains("iqn.2026-01.test:d/\(lun) cannot be read"))
            #expect(failure.text.contains("it took longer than 2 s"))
        }
    }

    @Test func `a requirement that cannot be checked here is refused with a reason`() async {
        let needs = VMRequirements.testVM(
            disks: [.other(type: "volume", detail: "pool p")],
            networks: [.other(type: "hostdev")]
        )
        let failures = await checks.unmet(needs)
        #expect(failures.map(\.check) == [.network, .storage])
        #expect(failures.first?.text.contains("'hostdev'") == true)
        #expect(failures.last?.text.contains("'volume' (pool p)") == true)
    }

    @Test func `all missing requirements are reported at once`() async {
        let needs = VMRequirements.testVM(
            memory: 16 << 30,
            disks: [.file(path: "/nowhere/a"), .file(path: "/nowhere/b")],
            networks: [.bridge(name: "br9"), .network(name: "dmz")]
        )
        #expect(await checks.unmet(needs).map(\.check) == [.network, .memory, .network, .storage, .storage])
    }

    @Test func `a hypervisor that does not answer cannot take a VM`() async {
        world.change(h2) { $0.answers = false }
        let failures = await checks.unmet(.testVM())
        #expect(failures.map(\.check) == [.hypervisor])
        #expect(failures.first?.text.contains("does not answer") == true)
    }
}

extension DiskSource {
    fileprivate static func iscsi(at port: Int, lun: Int = 1) -> Self {
        .iscsi(address: "127.0.0.1", port: port, iqn: "iqn.2026-01.test:d", lun: lun)
    }
}

/// A TCP port of 127.0.0.1, without a listener or with one that never answers.
private final class LocalPort {
    let number: Int
    private let descriptor: Int32

    init(listens: Bool = false) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutableBytes(of: &address) { [descriptor] bytes in
            let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return bind(descriptor, pointer, length) | getsockname(descriptor, pointer, &length)
        }
        number = Int(UInt16(bigEndian: address.sin_port))
        try #require(status == 0)
        if listens { try #require(listen(descriptor, 64) == 0) }
    }

    deinit { close(descriptor) }
}
