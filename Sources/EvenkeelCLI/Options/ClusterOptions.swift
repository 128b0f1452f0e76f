// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Identity
import Ledger
import Settings

/// The options of the commands that change who belongs to the cluster.
struct ClusterOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Administrator's cluster folder, which holds the keys of the certificate authority",
            valueName: "folder"
        )
    )
    var folder = ClusterAuthority.defaultFolder

    @OptionGroup var configuration: ConfigurationOptions

    @Flag(help: "Do not write to the ledger; publish the change later with 'evenkeel certificates publish'")
    var offline = false

    var path: String { absolute(folder) }

    func open() async throws -> ClusterAuthority { try await ClusterAuthority.open(folder: path) }

    /// The folder in which the roster is published; `nil` with `--offline`.
    func ledgerFolder() throws -> String? { offline ? nil : try configuration.settings().ledger.folder }

    /// Publishes the change, which is saved in the cluster folder already.
    func publish(_ authority: ClusterAuthority) async throws {
        guard let ledger = try ledgerFolder() else { return }
        do { try await authority.publish(to: ledger) } catch {
            throw NotPublished(reason: "\(error)")
        }
    }
}

/// The change is saved, and no host learns of it.
struct NotPublished: Error, CustomStringConvertible {
    var reason: String
    var description: String {
        "the change is saved but not published: \(reason). Run 'evenkeel certificates publish' when the ledger is available."
    }
}

/// A path as typed, relative to where it was typed.
func absolute(_ path: String) -> String { URL(fileURLWithPath: path).path }
