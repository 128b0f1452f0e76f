// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Ledger

// Helper processes of the ledger's tests: a writer that can be killed, a holder of the lock, and a benchmark.
let arguments = Array(CommandLine.arguments.dropFirst())
do {
    switch arguments.first {
    case "write" where arguments.count == 5 || arguments.count == 6:
        try await write(
            folder: arguments[1],
            writer: arguments[2],
            incarnation: Int(arguments[3]) ?? 0,
            segmentBytes: Int(arguments[4]) ?? 1 << 20,
            keys: arguments.dropFirst(5).first.map { Keys(folder: $0) }
        )
    case "hold" where arguments.count == 2:
        try holdLock(on: arguments[1])
    case "bench" where arguments.count == 4 || arguments.count == 5 && arguments[4] == "--signed":
        try await benchmark(
            folder: arguments[1],
            writers: Int(arguments[2]) ?? 1,
            appends: Int(arguments[3]) ?? 100,
            signedToo: arguments.count == 5
        )
    case "bench-one" where arguments.count == 4 || arguments.count == 5:
        let keys = arguments.dropFirst(4).first.map { Keys(folder: $0) }
        try await append(Int(arguments[3]) ?? 100, to: arguments[1], as: arguments[2], keys: keys)
    case "history" where arguments.count == 5:
        let hosts = Int(arguments[2]) ?? 50
        let history = try History(folder: arguments[1], hosts: hosts, vms: Int(arguments[3]) ?? 30)
        try await history.write()
        try history.printSizes()
        try await history.measure(status: arguments[4])
    default:
        FileHandle.standardError.write(
            Data(
                """
                usage: ledger-writer write FOLDER WRITER INCARNATION SEGMENT-BYTES [KEYS]
                       ledger-writer hold LOCK-FILE
                       ledger-writer bench FOLDER WRITERS APPENDS-EACH [--signed]
                       ledger-writer history FOLDER HOSTS VMS-EACH EVENKEEL-PROGRAM

                """.utf8
            )
        )
        exit(64)
    }
} catch {
    FileHandle.standardError.write(Data("ledger-writer: \(error)\n".utf8))
    exit(1)
}
