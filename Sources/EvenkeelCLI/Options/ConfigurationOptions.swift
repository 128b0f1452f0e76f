// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Controller
import Coordination
import Fleet
import Foundation
import HostOS
import Ledger
import Settings

/// The options of every command that uses the configuration.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Configuration file (default: \(Settings.defaultFile), if it exists)",
            valueName: "file"
        )
    )
    var config: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Set one configuration key; overrides the environment and the file (repeatable)",
            valueName: "key=value"
        )
    )
    var set: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("Folder of the ledger; short for --set ledger.folder=FOLDER", valueName: "folder")
    )
    var ledger: String?

    func settings() throws -> Settings {
        // Relative to the working directory, like every other path on a command line.
        let folder = ledger.map { URL(fileURLWithPath: $0).path }
        return try Settings.ofThisProcess(file: config, flags: set + (folder.map { ["ledger.folder=\($0)"] } ?? []))
    }

    /// Opens the ledger as the controller, which uses marks and needs a key.
    func openControllersLedger(_ settings: Settings) throws -> SharedLog {
        let marks = LedgerMarks(path: settings.ledger.marks ?? LedgerMarks.defaultPath(of: .controller))
        let security =
            try settings.ledger.unsigned
            ? .unsigned
            : MemberFolder(settings.identity.controller).security(inLedger: settings.ledger.folder, requiringKey: true)
        return openLedger(settings, as: .controller, security: security, marks: marks)
    }

    /// Opens the ledger as the operator; without the operator's key it is read with any member's roster.
    func openOperatorsLedger(_ settings: Settings) async throws -> SharedLog {
        openLedger(settings, as: .operator, security: try await operatorsSecurity(settings))
    }

    /// Reads and verifies the stored definitions of VMs; with `wanted`, a name or UUID, those of that VM.
    func definitions(_ settings: Settings, wanted: String? = nil) async throws -> DefinitionFolder.Content {
        try await DefinitionFolder(inLedger: settings.ledger.folder)
            .read(operatorsSecurity(settings), now: .now, wanted: wanted)
    }

    private func operatorsSecurity(_ settings: Settings) async throws -> LedgerSecurity {
        guard !settings.ledger.unsigned else { return .unsigned }
        let folder = Self.readersFolder(settings)
        // The daemons update the folders of other members themselves: they must notice changes.
        if folder == settings.identity.operator {
            await RosterUpdate.bring(folder, upTo: settings.ledger.folder) { printError($0) }
        }
        return try MemberFolder(folder).security(
            inLedger: settings.ledger.folder,
            requiringKey: false,
            withKey: folder == settings.identity.operator
        )
    }

    /// Returns the hardware of the hosts according to the roster; empty if there is none.
    func enrolledHardware(_ settings: Settings) -> [HostName: EnrolledHardware] {
        roster(settings)?.enrolledHardware ?? [:]
    }

    /// Returns the newest readable roster; `nil` if there is none.
    func roster(_ settings: Settings) -> Roster? {
        guard !settings.ledger.unsigned, let folder = try? MemberFolder(Self.readersFolder(settings)) else {
            return nil
        }
        folder.adoptRoster(inLedger: settings.ledger.folder)
        return folder.roster.roster
    }

    /// The operator's folder, or that of another member on this machine: any roster is sufficient for reading.
    private static func readersFolder(_ settings: Settings) -> String {
        let identity = settings.identity
        return [identity.operator, identity.controller, identity.folder].first {
            FileManager.default.fileExists(atPath: $0)
        } ?? identity.operator
    }

    private func openLedger(
        _ settings: Settings,
        as writer: LedgerWriter,
        security: LedgerSecurity,
        marks: LedgerMarks? = nil
    ) -> SharedLog {
        var options = SharedLog.Options()
        options.lockWait = settings.ledger.lockTimeout
        options.segmentBytes = Int(clamping: settings.ledger.segmentBytes)
        let retention = settings.ledger.retention
        options.retention = [.load: retention.load, .orders: retention.orders, .reports: retention.reports]
            .mapValues { Retention(age: $0.age, bytes: Int(clamping: $0.bytes)) }
        return SharedLog(
            folder: settings.ledger.folder,
            writer: writer,
            security: security,
            marks: marks,
            options: options
        )
    }
}
