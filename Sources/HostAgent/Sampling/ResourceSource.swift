// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Source of a host's CPU and memory figures.
protocol ResourceSource: Sendable {
    /// Returns the CPU time used since some fixed time, in seconds, and the number of cores.
    func cpu() throws(SourceError) -> CPUCounter
    func memory() throws(SourceError) -> MemoryLoad
    func pressure() throws(SourceError) -> Pressure?
    /// Returns `nil` if the kernel's figure does not describe this host alone.
    func loadAverage() throws(SourceError) -> LoadAverage?
}

struct CPUCounter {
    var busySeconds: Double
    var capacityCores: Double
}

/// Figures of the whole machine, from /proc.
struct MachineResources: ResourceSource {
    var proc = "/proc"

    func cpu() throws(SourceError) -> CPUCounter {
        let path = "\(proc)/stat"
        let lines = try readText(path).split(separator: "\n")
        let cores = lines.count { $0.hasPrefix("cpu") && !$0.hasPrefix("cpu ") }
        let fields = lines.first { $0.hasPrefix("cpu ") }?.split(separator: " ").dropFirst().compactMap { UInt64($0) }
        // user, nice, system, idle, iowait, irq, softirq, steal; user time includes guest time.
        guard let fields, fields.count >= 8, cores > 0 else {
            throw SourceError(description: "\(path) has an unexpected format")
        }
        let busy = fields[0] + fields[1] + fields[2] + fields[5] + fields[6] + fields[7]
        return CPUCounter(busySeconds: Double(busy) / Self.ticksPerSecond, capacityCores: Double(cores))
    }

    /// USER_HZ, fixed at 100 in the kernel's interface on every architecture that runs a hypervisor.
    private static let ticksPerSecond = 100.0

    func memory() throws(SourceError) -> MemoryLoad {
        let table = try readTable("\(proc)/meminfo")
        guard let total = table["MemTotal"], let available = table["MemAvailable"] else {
            throw SourceError(description: "\(proc)/meminfo lacks MemTotal or MemAvailable")
        }
        return MemoryLoad(
            totalBytes: total << 10,
            usedBytes: (total - min(available, total)) << 10,
            availableBytes: available << 10
        )
    }

    func pressure() throws(SourceError) -> Pressure? { try readPressure { "\(proc)/pressure/\($0)" } }

    func loadAverage() throws(SourceError) -> LoadAverage? {
        let fields = try readText("\(proc)/loadavg").split(separator: " ").prefix(3).compactMap { Double($0) }
        guard fields.count == 3 else { throw SourceError(description: "\(proc)/loadavg has an unexpected format") }
        return LoadAverage(one: fields[0], five: fields[1], fifteen: fields[2])
    }
}

/// Returns the `some avg10` figures of the pressure files that exist; `nil` if the kernel has none.
func readPressure(path: (String) -> String) throws(SourceError) -> Pressure? {
    func average(_ resource: String) throws(SourceError) -> Double? {
        guard exists(path(resource)) else { return nil }
        let line = try readText(path(resource)).split(separator: "\n").first { $0.hasPrefix("some ") }
        let field = line?.split(separator: " ").first { $0.hasPrefix("avg10=") }
        return field.flatMap { Double($0.dropFirst("avg10=".count)) }
    }
    let pressure = Pressure(cpu: try average("cpu"), memory: try average("memory"), io: try average("io"))
    return pressure.cpu == nil && pressure.memory == nil && pressure.io == nil ? nil : pressure
}
