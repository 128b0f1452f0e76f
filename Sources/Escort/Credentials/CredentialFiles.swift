// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A file that swanctl reads from a folder next to swanctl.conf: `x509`, `x509ca`, `x509crl` or `private`.
///
/// It is a copy, because Debian's AppArmor profile lets swanctl read only /etc/swanctl, not the identity folder.
public struct CredentialFile: Sendable, Equatable {
    var folder: String
    var name: String
    var text: String

    /// Prefix of our files' names; other files are left alone.
    static let prefix = "evenkeel"
    static let folders = ["x509", "x509ca", "x509crl", "private"]
}

/// The credential files in one swanctl folder.
struct CredentialFolder: Sendable {
    let path: String

    /// Writes each file atomically, removes our other files, and returns whether anything changed.
    func put(_ files: [CredentialFile]) async throws -> Bool {
        var changed = false
        for folder in CredentialFile.folders {
            let wanted = files.filter { $0.folder == folder }
            let there = names(in: folder)
            if !wanted.isEmpty { mkdir("\(path)/\(folder)", 0o700) }
            for file in wanted where (try? PrivateFile.read(place(file), secret: true)) != file.text {
                try await PrivateFile.write(file.text, to: place(file))
                changed = true
            }
            for name in there.subtracting(wanted.map(\.name)) {
                try await PrivateFile.remove("\(path)/\(folder)/\(name)")
                changed = true
            }
        }
        return changed
    }

    private func place(_ file: CredentialFile) -> String { "\(path)/\(file.folder)/\(file.name)" }

    private func names(in folder: String) -> Set<String> {
        guard let directory = opendir("\(path)/\(folder)") else { return [] }
        defer { closedir(directory) }
        var names: Set<String> = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(CredentialFile.prefix), name.hasSuffix(".pem") { names.insert(name) }
        }
        return names
    }
}
