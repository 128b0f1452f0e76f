// SPDX-License-Identifier: Apache-2.0

/// A sample of a host without what it repeats of an earlier whole sample, its basis.
///
/// It has all figures that change from sample to sample. All else is as in the basis.
public struct SampleChange: Codable, Sendable, Equatable {
    private var at: Instant
    private var intervalSeconds: Double?
    private var cpu: CPULoad?
    private var memory: MemoryLoad?
    private var loadAverage: LoadAverage?
    private var pressure: Pressure?
    private var network: NetworkLoad?
    private var tunnels: [TunnelStatus]?
    /// One for each VM of the basis, in its order.
    private var vms: [VMChange]?

    /// Returns `nil` if only the whole sample can state what has changed, such as a VM that came or went.
    public init?(of sample: LoadSample, since basis: LoadSample) {
        at = sample.at
        intervalSeconds = sample.intervalSeconds
        cpu = sample.cpu
        memory = sample.memory
        loadAverage = sample.loadAverage
        pressure = sample.pressure
        network = sample.network
        tunnels = sample.tunnels
        vms = sample.vms.map { vms in zip(vms, basis.vms ?? []).map { VMChange(of: $0, since: $1) } }
        // Compares every field, also those that a later version adds.
        guard applied(to: basis) == sample else { return nil }
    }

    /// Returns the sample; `nil` if the basis does not have the same number of VMs.
    public func applied(to basis: LoadSample) -> LoadSample? {
        guard vms?.count == basis.vms?.count else { return nil }
        var sample = basis
        sample.at = at
        sample.intervalSeconds = intervalSeconds
        sample.cpu = cpu
        sample.memory = memory
        sample.loadAverage = loadAverage
        sample.pressure = pressure
        sample.network = network
        sample.tunnels = tunnels
        sample.vms = vms.map { vms in zip(vms, basis.vms ?? []).map { $0.applied(to: $1) } }
        return sample
    }
}

/// What has changed of a VM.
private enum VMChange: Codable, Sendable, Equatable {
    /// Its figures only; without `memoryBytes`, its memory is as in the basis.
    ///
    /// Encoded as an array in this order, without `null` at its end.
    case figures(cpuCores: Double?, waitingCores: Double?, memoryBytes: UInt64?)
    /// More than figures. Encoded as the VM.
    case whole(VMSample)

    init(of vm: VMSample, since basis: VMSample) {
        let figures = Self.figures(
            cpuCores: vm.cpuCores,
            waitingCores: vm.waitingCores,
            memoryBytes: vm.memoryBytes == basis.memoryBytes ? nil : vm.memoryBytes
        )
        self = figures.applied(to: basis) == vm ? figures : .whole(vm)
    }

    func applied(to basis: VMSample) -> VMSample {
        switch self {
        case .figures(let cpuCores, let waitingCores, let memoryBytes):
            var vm = basis
            vm.cpuCores = cpuCores
            vm.waitingCores = waitingCores
            vm.memoryBytes = memoryBytes ?? basis.memoryBytes
            return vm
        case .whole(let vm): return vm
        }
    }

    init(from decoder: any Decoder) throws {
        guard var values = try? decoder.unkeyedContainer() else {
            self = .whole(try VMSample(from: decoder))
            return
        }
        func next<Figure: Decodable>(_ type: Figure.Type) throws -> Figure? {
            values.isAtEnd ? nil : try values.decodeIfPresent(type)
        }
        self = .figures(
            cpuCores: try next(Double.self),
            waitingCores: try next(Double.self),
            memoryBytes: try next(UInt64.self)
        )
    }

    func encode(to encoder: any Encoder) throws {
        switch self {
        case .whole(let vm): try vm.encode(to: encoder)
        case .figures(let cpuCores, let waitingCores, let memoryBytes):
            var values = encoder.unkeyedContainer()
            let count = memoryBytes != nil ? 3 : waitingCores != nil ? 2 : cpuCores != nil ? 1 : 0
            if count > 0 { try values.encode(cpuCores) }
            if count > 1 { try values.encode(waitingCores) }
            if count > 2 { try values.encode(memoryBytes) }
        }
    }
}
