// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Identity
import Ledger
import Settings

/// The options of the commands that use the cluster folder.
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

    var path: String { absolute(folder) }

    func open() async throws -> ClusterAuthority { try await ClusterAuthority.open(folder: path) }

    /// Returns the folder in which the roster is published.
    func ledgerFolder() throws -> String { try configuration.settings().ledger.folder }
}

/// The options of the commands that change the members of the cluster.
struct ClusterChangeOptions: ParsableArguments {
    @OptionGroup var cluster: ClusterOptions

    @Flag(help: "Do not write to the ledger; publish the change later with 'evenkeel certificates publish'")
    var offline = false

    var configuration: ConfigurationOptions { cluster.configuration }
    var path: String { cluster.path }

    func open() async throws -> ClusterAuthority { try await cluster.open() }

    /// Returns the folder in which the roster is published; `nil` with `--offline`.
    func ledgerFolder() throws -> String? { offline ? nil : try cluster.ledgerFolder() }

    /// Publishes the change, which is already saved in the cluster folder.
    func publish(_ authority: ClusterAuthority) async throws {
        guard let ledger = try ledgerFolder() else { return }
        do { try await authority.publish(to: ledger) } catch {
            throw NotPublished(reason: "\(error)")
        }
    }
}

/// The change is saved but not published.
struct NotPublished: Error, CustomStringConvertible {
    var reason: String
    var description: String {
        "the change is saved but not published: \(reason). Run 'evenkeel certificates publish' when the ledger is available."
    }
}

/// Returns the absolute form of a path, relative to the working directory.
func absolute(_ path: String) -> String { URL(fileURLWithPath: path).path }
