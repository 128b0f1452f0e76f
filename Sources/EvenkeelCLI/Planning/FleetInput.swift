// SPDX-License-Identifier: Apache-2.0
import HostOS
import Balancing
import Controller
import Coordination
import Fleet
import FleetFiles
import Foundation
import Ledger
import Settings

/// A fleet to plan for, and its policies.
struct FleetInput {
    /// The file's name, or the ledger's folder.
    var name: String
    var model: FleetModel
    /// The cluster read with `--ganeti`; the placement after a plan is written in the same format.
    var ganeti: GanetiCluster?
    /// The running fleet's history; `nil` for a file.
    var snapshot: FleetSnapshot?
    var policy: Policy
    /// Parts of the ledger that could not be used.
    var warnings: [String] = []

    static func read(_ options: FleetInputOptions) async throws -> FleetInput {
        var settings = try options.configuration.settings()
        if let limit = options.memoryLimit { settings.policy.planning.memoryLimit = limit }
        var input: FleetInput
        if let file = options.snapshot {
            let model = try SnapshotFile.read(try bytes(of: file), name: file).model
            input = FleetInput(name: file, model: model, policy: settings.policy)
        } else if let file = options.ganeti {
            let cluster = try GanetiCluster(
                text: try text(of: file),
                name: file,
                utilisation: try options.utilisation.map(text(of:)),
                utilisationName: options.utilisation ?? "utilisation"
            )
            input = FleetInput(name: file, model: cluster.model, policy: settings.policy)
            input.ganeti = cluster
            if options.utilisation == nil {
                input.warnings.append("no --utilisation: only memory and VCPUs are known and balanced")
            }
            if let first = cluster.withoutUtilisation.first, let file = options.utilisation {
                let count = cluster.withoutUtilisation.count
                let others = count > 1 ? " and \(count - 1) more" : ""
                input.warnings.append("\(first)\(others): not in \(file), assumed idle")
            }
        } else {
            input = try await ofTheLedger(try options.configuration.openOperatorsLedger(settings), settings)
        }
        for host in options.drain { try input.drain(host) }
        return input
    }

    private static func ofTheLedger(
        _ ledger: any FleetLedger,
        _ settings: Settings
    ) async throws -> FleetInput {
        var core = ControllerCore(policy: settings.policy)
        var follower = LedgerFollower(ledger, .present(settings.policy, thinned: false, at: .now))
        try await follower.pull(into: &core)
        let snapshot = core.snapshot(at: .now)
        return FleetInput(
            name: settings.ledger.folder,
            model: FleetModel(snapshot, policy: settings.policy),
            snapshot: snapshot,
            policy: settings.policy,
            warnings: follower.remarks.entries.map(\.description)
        )
    }

    private mutating func drain(_ name: String) throws {
        let names = model.hosts.map(\.name.rawValue)
        guard let index = names.firstIndex(of: name) else {
            throw FleetNameError.unknown("host", name, near: FleetNames.near(name, among: names))
        }
        model.hosts[index].mode = .maintenance
    }

    static func text(of file: String) throws -> String {
        guard let text = String(bytes: try bytes(of: file), encoding: .utf8) else {
            throw FleetInputError(file: file, problem: "is not UTF-8 text")
        }
        return text
    }

    /// Returns the contents of a file, or with `-` those of standard input.
    static func bytes(of file: String) throws -> Data {
        if file == "-" { return try FileHandle.standardInput.readToEnd() ?? Data() }
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), isFolder.boolValue {
            throw FleetInputError(file: file, problem: "is a folder")
        }
        do {
            return try Data(contentsOf: URL(fileURLWithPath: file), options: .mappedIfSafe)
        } catch {
            throw FleetInputError(file: file, problem: "cannot be read: \(error.localizedDescription)")
        }
    }

    static func write(_ bytes: Data, to file: String) throws {
        do {
            try bytes.write(to: URL(fileURLWithPath: file), options: .atomic)
        } catch {
            throw FleetInputError(file: file, problem: "cannot be written: \(error.localizedDescription)")
        }
    }
}

/// A file that cannot be read or written.
struct FleetInputError: Error, CustomStringConvertible {
    var file: String
    var problem: String
    var description: String { "\(file): \(problem)" }
}
