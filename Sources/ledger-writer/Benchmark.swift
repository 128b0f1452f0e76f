// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Ledger

/// Appends samples from `writers` processes at once, each synced to the storage, and prints the rate.
func benchmark(folder: String, writers: Int, appends: Int) async throws {
    try await SharedLog.create(folder: folder)
    let clock = ContinuousClock()
    let start = clock.now
    let processes = try (1...max(1, writers)).map { number in
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["bench-one", folder, "h\(number)", String(appends)]
        try process.run()
        return process
    }
    for process in processes { process.waitUntilExit() }
    let failed = processes.filter { $0.terminationStatus != 0 }.count
    let seconds = (clock.now - start).inSeconds
    let rate = Double((writers - failed) * appends) / seconds
    say(
        String(
            format: "%d writers, %d appends each, %d failed: %.2f s, %.0f appends/s",
            writers,
            appends,
            failed,
            seconds,
            rate
        )
    )
    try await readBack(folder)
}

/// Reads all there is, as a controller does when it starts, and prints the rate.
private func readBack(_ folder: String) async throws {
    let log = SharedLog(folder: folder, writer: .controller)
    let clock = ContinuousClock()
    let start = clock.now
    var count = 0
    var cursor: Cursor?
    while true {
        let batch = try await log.read(LoadSample.self, from: cursor)
        count += batch.records.count
        cursor = batch.next
        if !batch.hasMore { break }
    }
    let seconds = (clock.now - start).inSeconds
    say(String(format: "read %d records: %.2f s, %.0f records/s", count, seconds, Double(count) / seconds))
}

/// Appends one writer's share of the benchmark; prints the median and the longest time of one append.
func append(_ count: Int, to folder: String, as name: String) async throws {
    let log = SharedLog(folder: folder, writer: .host(HostName(name)))
    let clock = ContinuousClock()
    var times: [Duration] = []
    for number in 1...max(1, count) {
        let sample = LoadSample(
            host: HostName(name),
            at: Instant(milliseconds: Int64(number)),
            cpu: CPULoad(capacityCores: 16, busyCores: 3.25),
            memory: MemoryLoad(totalBytes: 64 << 30, usedBytes: 20 << 30, availableBytes: 44 << 30),
            vms: (1...10).map {
                VMSample(id: VMID("00000000-0000-0000-0000-00000000000\($0)"), name: "vm\($0)", state: .running)
            }
        )
        times.append(try await clock.measure { try await log.append(sample) })
    }
    times.sort()
    let median = times[times.count / 2].inSeconds * 1000
    let longest = (times.last ?? .zero).inSeconds * 1000
    say(String(format: "%@: median %.1f ms, longest %.1f ms", name, median, longest))
}
