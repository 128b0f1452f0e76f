// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// Copies of the programs for which Debian's packages include AppArmor profiles.
///
/// A profile applies to a program's path and expects one daemon per machine: it forbids configuration, sockets and logs
/// outside their usual paths. The copies in the lab's folder run without a profile; the machine's own programs stay
/// confined.
enum ProgramCopies {
    static let names = ["charon", "libvirtd", "swanctl", "tcpdump"]

    /// Copies the programs to the site's folder, under their usual names.
    static func make(_ site: LabSite) async throws {
        try await Blocking.run {
            try Files.makeFolder(site.programFolder)
            for name in names {
                guard let path = Requirements.path(of: name) else {
                    throw LabError.notPossibleHere(["\(name): the program has disappeared"])
                }
                try Files.copy(path, to: "\(site.programFolder)/\(name)", mode: 0o755)
            }
        }
    }
}
