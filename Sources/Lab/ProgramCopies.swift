// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// Copies of the programs for which Debian's packages include AppArmor profiles.
///
/// A profile attaches by the program's path and fits a machine's only daemon: it forbids a configuration, a control
/// socket and a log elsewhere than in their usual places. From the lab's folder the same programs run without one,
/// and the machine's own stay as confined as they are.
enum ProgramCopies {
    static let names = ["charon", "libvirtd", "swanctl", "tcpdump"]

    /// Copies them to the site's folder of programs, under the names by which they are called and found.
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
