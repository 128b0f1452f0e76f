// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Samples of one host, 5 s apart, in which anything can change that an agent reports.
public struct RandomSamples: Sendable {
    private var random: SplitMix64
    private var sample: LoadSample
    private var created = 0
    /// Only the figures change from sample to sample.
    private let onlyFigures: Bool

    public init(of host: String, vms: Int, seed: UInt64, onlyFigures: Bool = false, from begin: Instant) {
        random = SplitMix64(seed: seed)
        sample = LoadSample(host: HostName(host), at: begin, vms: [])
        self.onlyFigures = onlyFigures
        sample.hypervisor = HypervisorFacts(
            type: "qemu",
            version: 9_002_000,
            libvirtVersion: 10_010_000,
            architecture: "x86_64",
            cpuModel: "Skylake-Server-IBRS"
        )
        sample.channels = [.ipsec, .tls]
        sample.vms = (0..<vms).map { _ in newVM() }
    }

    /// Returns the next sample.
    public mutating func next() -> LoadSample {
        sample.at = sample.at + .milliseconds(5000 + Int64(random.below(10)))
        measure()
        if !onlyFigures { changeSomething() }
        return sample
    }

    private mutating func measure() {
        sample.intervalSeconds = figure(5)
        sample.cpu = CPULoad(capacityCores: 64, busyCores: figure(64))
        let used = random.next() >> 24
        sample.memory = MemoryLoad(totalBytes: 1 << 40, usedBytes: used, availableBytes: (1 << 40) - used)
        sample.loadAverage = LoadAverage(one: figure(9), five: figure(9), fifteen: figure(9))
        sample.pressure = Pressure(cpu: figure(100), memory: nil, io: figure(100))
        sample.network = NetworkLoad(receivedBytesPerSecond: figure(1e9), sentBytesPerSecond: figure(1e9))
        for index in (sample.vms ?? []).indices where sample.vms?[index].state == .running {
            let (used, waited) = (figure(4), figure(1))
            sample.vms?[index].cpuCores = used
            sample.vms?[index].waitingCores = waited
        }
    }

    private mutating func changeSomething() {
        // An array needs an index, also if it is empty.
        let count = sample.vms?.count ?? 0
        let index = random.below(max(1, count))
        let (vm, digest) = (newVM(), digest())
        switch random.below(24) {
        case 0: sample.vms = count > 0 ? nil : [newVM(), vm]
        case 1: sample.vms?.insert(vm, at: min(index, count))
        case 2 where count > 0: sample.vms?.remove(at: index)
        case 3 where count > 0: sample.vms?.swapAt(0, index)
        case 4 where count > 0: sample.vms?[index].state = VMState.allCases[random.below(VMState.allCases.count)]
        case 5 where count > 0: sample.vms?[index].memoryBytes = random.below(4) == 0 ? nil : random.next() >> 30
        case 6 where count > 0: sample.vms?[index].definition = random.below(4) == 0 ? nil : digest
        case 7 where count > 0:
            sample.vms?[index].cannotMove = random.below(2) == 0 ? nil : CannotMove([.other("it has a disk in a file")])
        case 8 where count > 0: sample.vms?[index].cpuCores = nil
        case 9 where count > 0: sample.vms?[index].waitingCores = nil
        case 10 where count > 0: sample.vms?[index].name = "renamed-\(random.below(100))"
        case 11: sample.failures = random.below(2) == 0 ? [] : [SourceFailure(source: "cpu", reason: "no such file")]
        case 12: sample.takesNoOrdersBecause = random.below(2) == 0 ? nil : "its local disk is full"
        case 13: sample.channels = random.below(3) == 0 ? nil : [.ipsec]
        case 14: sample.tunnels = random.below(2) == 0 ? nil : [TunnelStatus(peer: HostName("h2"), isUp: true)]
        case 15: sample.hypervisor = sample.hypervisor == nil ? Self.otherFacts : nil
        case 16: (sample.cpu, sample.memory, sample.intervalSeconds) = (nil, nil, nil)
        case 17: (sample.loadAverage, sample.pressure, sample.network) = (nil, nil, nil)
        default: break
        }
    }

    private static let otherFacts = HypervisorFacts(
        type: "xen",
        version: 4_017_000,
        libvirtVersion: 10_000_000,
        architecture: "x86_64",
        cpuModel: nil
    )

    private mutating func newVM() -> VMSample {
        created += 1
        return VMSample(
            id: VMID("4f0c2b9d-11e8-4a6f-9be0-\(100_000_000_000 + created)"),
            name: "web-\(created).example.org",
            state: .running,
            cpuCores: figure(4),
            waitingCores: figure(1),
            vcpus: 4,
            memoryBytes: 8 << 30,
            definition: digest()
        )
    }

    private mutating func digest() -> String {
        (0..<8).map { _ in String(0x1000_0000 + random.below(0xE000_0000), radix: 16) }.joined()
    }

    /// Returns a number from 0 to `most`, with all its digits.
    private mutating func figure(_ most: Double) -> Double { Double.random(in: 0...most, using: &random) }
}
