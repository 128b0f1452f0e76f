// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// The state that another process needs to attach to a lab: written by `up`.
struct LabState: Codable, Sendable {
    var site: LabSite
    var plan: LabPlan
    var cgroups: CgroupLayout
    var domainType: String
    /// Whether the kernel provides ESP; otherwise charon does.
    var kernelHasESP: Bool
    /// False until the whole lab has started.
    var complete: Bool

    func save() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try Files.replace(site.stateFile, with: String(decoding: try encoder.encode(self), as: UTF8.self))
    }

    static func load(_ site: LabSite) throws -> LabState {
        guard Files.exists(site.stateFolder) else { throw LabError.notUp(stateFolder: site.stateFolder) }
        guard Files.exists(site.stateFile) else {
            throw LabError.file(
                path: site.stateFile,
                reason: "not found: the lab is still starting, or its start "
                    + "was interrupted. To take it down: evenkeel-lab down"
            )
        }
        do {
            return try JSONDecoder().decode(LabState.self, from: Data(try Files.read(site.stateFile)))
        } catch let error as DecodingError {
            throw LabError.file(path: site.stateFile, reason: "is not the state of a lab: \(error)")
        }
    }

    /// Claims the site's state folder for this process; throws the owner if it exists.
    ///
    /// A single system call decides, so only one of two concurrent processes gets it.
    static func claim(_ site: LabSite) throws {
        guard mkdir(site.stateFolder, 0o755) == 0 else {
            guard errno == EEXIST else {
                throw LabError.file(path: site.stateFolder, reason: "cannot be created: \(Files.reason())")
            }
            throw alreadyUp(site)
        }
        let now = Date.now.formatted(.iso8601)
        try Files.write("started by process \(getpid()) at \(now)\n", to: ownerFile(of: site))
    }

    /// Throws the owner if the site has a lab now.
    static func requireUnclaimed(_ site: LabSite) throws {
        guard !Files.exists(site.stateFolder) else { throw alreadyUp(site) }
    }

    /// Returns the process that claimed the site; `nil` if the site has no lab.
    static func owner(of site: LabSite) -> Int32? {
        let words = (try? Files.text(ownerFile(of: site)))?.split(separator: " ") ?? []
        return words.count > 3 ? Int32(words[3]) : nil
    }

    private static func ownerFile(of site: LabSite) -> String { "\(site.stateFolder)/owner" }

    private static func alreadyUp(_ site: LabSite) -> LabError {
        let owner = (try? Files.text(ownerFile(of: site)))?.split(separator: "\n").joined()
        return .alreadyUp(owner: owner ?? "started by an unknown process", stateFolder: site.stateFolder)
    }
}
