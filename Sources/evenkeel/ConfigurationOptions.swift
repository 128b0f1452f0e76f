// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Identity
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

    /// The ledger in the controller's hands, who goes by marks and cannot do without a key; `identity` is the
    /// controller's, `nil` where records are not signed.
    func openControllersLedger(_ settings: Settings, _ identity: MemberFolder?) throws -> SharedLog {
        let marks = LedgerMarks(path: settings.ledger.marks ?? LedgerMarks.defaultPath(of: .controller))
        let security = try identity?.security(requiringKey: true) ?? .unsigned
        return openLedger(settings, as: .controller, security: security, marks: marks)
    }

    /// The ledger in an operator's hands; without his key it can be read, which any member's roster is enough for.
    func openOperatorsLedger(_ settings: Settings) async throws -> SharedLog {
        guard !settings.ledger.unsigned else { return openLedger(settings, as: .operator, security: .unsigned) }
        let own = settings.identity.operator
        let folder =
            [own, settings.identity.controller, settings.identity.folder].first {
                FileManager.default.isReadableFile(atPath: "\($0)/\(SignedRoster.fileName)")
            } ?? own
        // Who may not write the folder verifies by the roster that is there.
        _ = try? await IdentityFolder(folder).update(fromLedger: settings.ledger.folder)
        let security = try MemberFolder(folder).security(requiringKey: false, withKey: folder == own)
        return openLedger(settings, as: .operator, security: security)
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
