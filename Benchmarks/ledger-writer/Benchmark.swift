// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Ledger

/// Measures appending and reading, with each record synced to the storage; with `signedToo` also for signed records.
func benchmark(folder: String, writers: Int, appends: Int, signedToo: Bool) async throws {
    let bare = try await measure(folder: folder, writers: writers, appends: appends, keys: nil)
    guard signedToo else { return }
    let names = (1...max(1, writers)).map { "h\($0)" }
    let keys = try Keys.make(in: "\(folder).keys", for: names)
    let signed = try await measure(folder: "\(folder).signed", writers: writers, appends: appends, keys: keys)
    say(
        String(
            format: "signed: appending takes %.2f times as long, reading %.2f times as long",
            signed.appending / bare.appending,
            signed.reading / bare.reading
        )
    )
}

private func measure(
    folder: String,
    writers: Int,
    appends: Int,
    keys: Keys?
) async throws -> (appending: Double, reading: Double) {
    try await SharedLog.create(folder: folder)
    let clock = ContinuousClock()
    let start = clock.now
    let processes = try (1...max(1, writers)).map { number in
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["bench-one", folder, "h\(number)", String(appends)] + (keys.map { [$0.folder] } ?? [])
        try process.run()
        return process
    }
    for process in processes { process.waitUntilExit() }
    let failed = processes.filter { $0.terminationStatus != 0 }.count
    let seconds = (clock.now - start).inSeconds
    let rate = Double((writers - failed) * appends) / seconds
    let kind = keys == nil ? "unsigned" : "signed"
    say(
        "\(kind): \(writers) writers, \(appends) appends each, \(failed) failed: "
            + String(format: "%.2f s, %.0f appends/s", seconds, rate)
    )
    return (seconds, try await readBack(folder, keys: keys))
}

/// Reads all records, like a controller that starts; prints the rate and returns the seconds.
private func readBack(_ folder: String, keys: Keys?) async throws -> Double {
    let log = SharedLog(folder: folder, writer: .controller, security: try keys?.security(of: nil) ?? .unsigned)
    let clock = ContinuousClock()
    let start = clock.now
    let processorStart = processorSeconds()
    var count = 0
    for part in try await log.logs(of: .load) {
        var cursor: Cursor?
        while true {
            let batch = try await log.read(LoadSample.self, in: part, from: cursor, limit: 1000, selecting: nil)
            count += batch.records.count
            cursor = batch.next
            if !batch.hasMore { break }
        }
    }
    let seconds = (clock.now - start).inSeconds
    let busy = processorSeconds() - processorStart
    say(
        String(
            format: "read %d records: %.2f s, %.0f records/s, %.0f µs of CPU time each",
            count,
            seconds,
            Double(count) / seconds,
            busy / Double(max(1, count)) * 1e6
        )
    )
    return seconds
}

private func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Appends one writer's records; prints the median and the longest time of an append.
func append(_ count: Int, to folder: String, as name: String, keys: Keys?) async throws {
    let security = try keys?.security(of: name) ?? .unsigned
    let log = SharedLog(folder: folder, writer: .host(HostName(name)), security: security)
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
