// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Dispatch
internal import Glibc

/// A file that only its owner can read, replaced as a whole or not at all.
enum PrivateFile {
    static func write(_ text: String, to path: String) async throws {
        try await offPool(path) {
            do throws(DurableFile.Failure) { try DurableFile.replace(path, with: text.utf8, mode: 0o600) } catch {
                return error.reason
            }
            return nil
        }
    }

    /// Reads a regular file; one that is `secret` must belong to the caller's user and be closed to all others.
    static func read(_ path: String, secret: Bool) throws(EscortError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { throw .badCredentials(path: path, reason: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .badCredentials(path: path, reason: "it is not a regular file")
        }
        guard !secret || (status.st_uid == geteuid() && status.st_mode & 0o077 == 0) else {
            throw .badCredentials(
                path: path,
                reason: "it is open to others than the user who runs this; 'chown' it and 'chmod 600 \(path)'"
            )
        }
        guard status.st_size <= 1 << 20 else { throw .badCredentials(path: path, reason: "it is larger than 1 MiB") }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes[filled...].withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            filled += count
        }
        return String(decoding: bytes.prefix(filled), as: UTF8.self)
    }

    static func remove(_ path: String) async throws {
        try await offPool(path) { unlink(path) == 0 || errno == ENOENT ? nil : String(cString: strerror(errno)) }
    }

    /// File systems block; the cooperative pool must not.
    private static func offPool(_ path: String, _ work: @escaping @Sendable () -> String?) async throws {
        let failure = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: work()) }
        }
        if let failure { throw EscortError.refused(step: "writing '\(path)'", reason: failure) }
    }
}
