// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Controller
import Coordination
import Fleet
import Foundation
import Ledger
import Settings

/// The options that every command which needs the configuration has.
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
        // Relative to where it was typed, as with every other path on a command line.
        let folder = ledger.map { URL(fileURLWithPath: $0).path }
        return try Settings.ofThisProcess(file: config, flags: set + (folder.map { ["ledger.folder=\($0)"] } ?? []))
    }

    /// The ledger in the controller's hands, who goes by marks and cannot do without a key.
    func openControllersLedger(_ settings: Settings) throws -> SharedLog {
        let marks = LedgerMarks(path: settings.ledger.marks ?? LedgerMarks.defaultPath(of: .controller))
        let security =
            try settings.ledger.unsigned
            ? .unsigned
            : MemberFolder(settings.identity.controller).security(inLedger: settings.ledger.folder, requiringKey: true)
        return openLedger(settings, as: .controller, security: security, marks: marks)
    }

    /// The ledger in an operator's hands; without his key it can be read, which any member's roster is enough for.
    func openOperatorsLedger(_ settings: Settings) async throws -> SharedLog {
        guard !settings.ledger.unsigned else { return openLedger(settings, as: .operator, security: .unsigned) }
        let folder = Self.readersFolder(settings)
        // The others' folders are for their daemons to bring up to date: those must see what changed.
        if folder == settings.identity.operator {
            await RosterUpdate.bring(folder, upTo: settings.ledger.folder) { printError($0) }
        }
        let security = try MemberFolder(folder).security(
            inLedger: settings.ledger.folder,
            requiringKey: false,
            withKey: folder == settings.identity.operator
        )
        return openLedger(settings, as: .operator, security: security)
    }

    /// What the roster says of the hosts' machines; nothing where there is none to be read.
    func enrolledHardware(_ settings: Settings) -> [HostName: EnrolledHardware] {
        roster(settings)?.enrolledHardware ?? [:]
    }

    /// The newest roster that can be read; `nil` where there is none.
    func roster(_ settings: Settings) -> Roster? {
        guard !settings.ledger.unsigned, let folder = try? MemberFolder(Self.readersFolder(settings)) else {
            return nil
        }
        folder.takeUpRoster(inLedger: settings.ledger.folder)
        return folder.roster.roster
    }

    /// The operator's folder, or that of another member on this machine: any roster is good for reading.
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
        return SharedLog(
            folder: settings.ledger.folder,
            writer: writer,
            security: security,
            marks: marks,
            options: options
        )
    }
}
