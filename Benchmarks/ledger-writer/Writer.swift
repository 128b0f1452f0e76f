// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Fleet
import Foundation
import Ledger

/// Appends reports until it is killed, or until standard input ends because its parent process has ended.
///
/// Prints the number of each report after its append has returned.
func write(folder: String, writer: String, incarnation: Int, segmentBytes: Int, keys: Keys?) async throws {
    DispatchQueue(label: "standard input").async {
        while readLine() != nil {}
        exit(0)
    }
    var options = SharedLog.Options()
    options.segmentBytes = segmentBytes
    options.retention = [.reports: Retention(age: .seconds(86400), bytes: .max / 2)]
    options.lockWait = .seconds(60)
    options.timeLimit = .seconds(90)
    let security = try keys?.security(of: writer) ?? .unsigned
    let log = SharedLog(folder: folder, writer: .host(HostName(writer)), security: security, options: options)
    var number = 0
    while true {
        number += 1
        try await log.append(numberedReport(writer: writer, incarnation: incarnation, number: number))
        say(String(number))
    }
}

/// Returns a report whose content is derived from its number, so that a reader can detect a change.
///
/// Every fifth is so long that the kernel copies it page by page, so that a kill can leave a part of it.
private func numberedReport(writer: String, incarnation: Int, number: Int) -> OrderReport {
    let length = number % 5 == 0 ? 200_000 + number : 20 + number % 300
    let text = String(repeating: "é\(number).", count: length / 5)
    return OrderReport(
        order: OrderID("\(writer)/\(incarnation)/\(number)"),
        host: HostName(writer),
        at: Instant(milliseconds: Int64(number)),
        step: .failed(failure: OrderFailure(.refused, .other(text), .notLooked))
    )
}
