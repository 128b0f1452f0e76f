// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Glibc

/// A file that only its owner can read, and that is replaced atomically.
enum PrivateFile {
    /// Larger files are not read.
    private static let maximumBytes = 1 << 20

    static func write(_ text: String, to path: String) async throws {
        try await Blocking.run {
            do throws(DurableFile.Failure) { try DurableFile.replace(path, with: text.utf8, mode: 0o600) } catch {
                throw EscortError.refused(step: "writing '\(path)'", reason: error.reason)
            }
        }
    }

    /// Reads a regular file; a `secret` one must belong to this process's user and be closed to all others.
    static func read(_ path: String, secret: Bool) throws(EscortError) -> String {
        do {
            let bytes = try SafeFile.read(path, secret ? .secret : .published, atMost: maximumBytes)
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            throw .badCredentials(path: path, reason: error.reason.text)
        }
    }

    static func remove(_ path: String) async throws {
        try await Blocking.run {
            guard unlink(path) == 0 || errno == ENOENT else {
                throw EscortError.refused(step: "removing '\(path)'", reason: String(cString: strerror(errno)))
            }
        }
    }
}
