// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor

/// Converts counters to samples; keeps the last reading, from which the next one yields rates.
struct HostSampler {
    let host: HostName
    let resources: any ResourceSource
    var proc = "/proc"
    private var last: Reading?

    init(host: HostName, resources: any ResourceSource, proc: String = "/proc") {
        self.host = host
        self.resources = resources
        self.proc = proc
    }

    private struct Reading {
        var uptime: Duration
        var busySeconds: Double?
        var network: NetworkCounter?
        var cpuTimes: [VMID: UInt64]
        var waitTimes: [VMID: UInt64]
    }

    /// Returns a sample of the present; `uptime` is a clock that never jumps, for the rates.
    mutating func sample(at: Instant, uptime: Duration, hypervisor: any Hypervisor) async -> LoadSample {
        var failures: [SourceFailure] = []
        func from<Figure>(_ source: String, _ read: () throws(SourceError) -> Figure?) -> Figure? {
            do { return try read() } catch {
                failures.append(SourceFailure(source: source, reason: error.description))
                return nil
            }
        }
        let cpu = from("cpu") { () throws(SourceError) in try resources.cpu() }
        let memory = from("memory") { () throws(SourceError) in try resources.memory() }
        let loadAverage = from("load average") { () throws(SourceError) in try resources.loadAverage() }
        let pressure = from("pressure") { () throws(SourceError) in try resources.pressure() }
        let network = from("network") { () throws(SourceError) in try NetworkCounter.read(proc: proc) }

        var facts: HypervisorFacts?
        var domains: [DomainStatus]?
        do {
            facts = try await hypervisor.facts()
            domains = try await hypervisor.domains()
        } catch {
            failures.append(SourceFailure(source: "hypervisor", reason: error.description))
        }

        let reading = Reading(
            uptime: uptime,
            busySeconds: cpu?.busySeconds,
            network: network,
            cpuTimes: Dictionary(
                (domains ?? []).compactMap { domain in domain.cpuTimeNanoseconds.map { (domain.id, $0) } },
                uniquingKeysWith: { first, _ in first }
            ),
            waitTimes: Dictionary(
                (domains ?? []).compactMap { domain in domain.waitTimeNanoseconds.map { (domain.id, $0) } },
                uniquingKeysWith: { first, _ in first }
            )
        )
        defer { last = reading }
        let interval = last.map { (uptime - $0.uptime).inSeconds }.flatMap { $0 > 0 ? $0 : nil }
        return LoadSample(
            host: host,
            at: at,
            intervalSeconds: interval,
            cpu: cpu.flatMap { cpu in
                rate(cpu.busySeconds, last?.busySeconds, over: interval)
                    .map { CPULoad(capacityCores: cpu.capacityCores, busyCores: $0) }
            },
            memory: memory,
            loadAverage: loadAverage,
            pressure: pressure,
            network: network.flatMap { load(of: $0, over: interval) },
            hypervisor: facts,
            vms: domains?.map { sample(of: $0, over: interval) },
            failures: failures
        )
    }

    private func sample(of domain: DomainStatus, over interval: Double?) -> VMSample {
        let used = domain.cpuTimeNanoseconds.map { Double($0) / 1e9 }
        let before = last?.cpuTimes[domain.id].map { Double($0) / 1e9 }
        let waited = domain.waitTimeNanoseconds.map { Double($0) / 1e9 }
        let waitedBefore = last?.waitTimes[domain.id].map { Double($0) / 1e9 }
        return VMSample(
            id: domain.id,
            name: domain.name,
            state: domain.state,
            cpuCores: used.flatMap { rate($0, before, over: interval) },
            waitingCores: waited.flatMap { rate($0, waitedBefore, over: interval) },
            vcpus: domain.vcpus,
            memoryBytes: domain.memoryBytes,
            definition: domain.definition
        )
    }

    private func load(of counter: NetworkCounter, over interval: Double?) -> NetworkLoad? {
        guard let before = last?.network,
            let received = rate(Double(counter.received), Double(before.received), over: interval),
            let sent = rate(Double(counter.sent), Double(before.sent), over: interval)
        else { return nil }
        return NetworkLoad(receivedBytesPerSecond: received, sentBytesPerSecond: sent)
    }

    /// Returns the rate of a counter, to a millionth; `nil` if it fell, because it was reset (a VM arrived, a process
    /// restarted).
    ///
    /// Its further digits measure nothing, and each sample would write ten of them for each figure.
    private func rate(_ now: Double, _ before: Double?, over interval: Double?) -> Double? {
        guard let before, let interval, now >= before else { return nil }
        return ((now - before) / interval * 1e6).rounded() / 1e6
    }
}

/// Bytes over all interfaces except the loopback, since boot.
struct NetworkCounter: Sendable, Equatable {
    var received: UInt64 = 0
    var sent: UInt64 = 0

    static func read(proc: String) throws(SourceError) -> NetworkCounter {
        var counter = NetworkCounter()
        // `net` is a link to self/net: the namespace of this process.
        for line in try readText("\(proc)/net/dev").split(separator: "\n").dropFirst(2) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].drop(while: { $0 == " " })
            let fields = line[line.index(after: colon)...].split(separator: " ").compactMap { UInt64($0) }
            guard name != "lo", fields.count >= 9 else { continue }
            counter.received += fields[0]
            counter.sent += fields[8]
        }
        return counter
    }
}
