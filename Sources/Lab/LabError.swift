// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// An error of the lab: what failed, on what, and the next step.
public enum LabError: Error, Sendable, CustomStringConvertible {
    /// The machine lacks something; each line names it and how to get it.
    case notPossibleHere([String])
    /// The plan contradicts itself.
    case badPlan([String])
    /// The site already has a lab.
    case alreadyUp(owner: String, stateFolder: String)
    case notUp(stateFolder: String)
    case noSuchHost(String)
    case noSuchGuest(String)
    /// A wait timed out.
    case timedOut(what: String, after: Duration, log: String)
    /// A file or folder could not be read, created or written.
    case file(path: String, reason: String)
    /// An interface of a wire cannot be used.
    case wire(interface: String, reason: String)
    /// A move of a demonstration could not be ordered, or its outcome was not reported.
    case move(guest: String, reason: String)
    /// A bulk transfer between two hosts failed.
    case transfer(String)
    /// A process that a fault is for does not run.
    case noProcess(String, group: String)
    /// Something of the lab remains after `down`.
    case left([String])

    public var description: String {
        switch self {
        case .notPossibleHere(let missing):
            "this machine cannot run a lab. Missing:\n" + missing.map { "  - \($0)" }.joined(separator: "\n")
        case .badPlan(let problems): "invalid lab plan: \(problems.joined(separator: "; "))"
        case .alreadyUp(let owner, let folder):
            "a lab is already running (\(owner), \(folder)). To take it down: evenkeel-lab down"
        case .notUp(let folder): "no lab is running (no folder \(folder)). To start one: evenkeel-lab up"
        case .noSuchHost(let name): "the lab has no host \(name)"
        case .noSuchGuest(let name): "the lab has no guest \(name)"
        case .timedOut(let what, let limit, let log):
            "timed out after \(limit.text) waiting for \(what)\(log.isEmpty ? "" : ". End of its log:\n\(log)")"
        case .file(let path, let reason): "\(path): \(reason)"
        case .wire(let interface, let reason): "wire at \(interface): \(reason)"
        case .move(let guest, let reason): "move of \(guest): \(reason)"
        case .transfer(let reason): "bulk transfer failed: \(reason)"
        case .noProcess(let name, let group): "no process \(name) runs in \(group)"
        case .left(let what): "the lab is down, but these remain: \(what.joined(separator: "; "))"
        }
    }
}
