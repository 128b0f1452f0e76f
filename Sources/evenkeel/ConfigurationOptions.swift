// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Ledger
import Settings

/// The options that every command which needs the configuration has.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The configuration file (default: \(Settings.defaultFile), if it is there).",
            valueName: "file"
        )
    )
    var config: String?

    @Option(
        name: .long,
        help: ArgumentHelp("Set one key over file and environment; may be repeated.", valueName: "key=value")
    )
    var set: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("The ledger's folder; the same as --set ledger.folder=.", valueName: "folder")
    )
    var ledger: String?

    func settings() throws -> Settings {
        // Relative to where it was typed, as with every other path on a command line.
        let folder = ledger.map { URL(fileURLWithPath: $0).path }
        return try Settings.ofThisProcess(file: config, flags: set + (folder.map { ["ledger.folder=\($0)"] } ?? []))
    }

    func openLedger(_ settings: Settings, as writer: LedgerWriter) -> SharedLog {
        var options = SharedLog.Options()
        options.lockWait = settings.ledger.lockTimeout
        options.segmentBytes = Int(clamping: settings.ledger.segmentBytes)
        return SharedLog(folder: settings.ledger.folder, writer: writer, options: options)
    }
}
