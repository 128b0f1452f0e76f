// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// A small value in a local JSON file that survives a crash.
///
/// Blocks: call it outside the cooperative pool where the disk may hang.
public struct StateFile<Value: Codable & Sendable>: Sendable {
    public let path: String
    private let mode: UInt32

    /// Maximum size of a file in bytes.
    private static var maximumBytes: Int { 32 << 20 }

    /// Uses the file at `path`; `mode` is its mode, independent of the umask.
    public init(path: String, mode: UInt32 = 0o600) {
        self.path = path
        self.mode = mode
    }

    public enum Failure: Error, CustomStringConvertible {
        case unreadable(SafeFile.Failure)
        /// The content is not a `Value`.
        case damaged(path: String, reason: String)
        case unwritable(DurableFile.Failure)
        /// The value cannot be encoded.
        case failed(path: String, reason: String)

        /// The error message without the path.
        public var reason: String {
            switch self {
            case .unreadable(let failure): failure.reason.text
            case .damaged(_, let reason): reason
            case .unwritable(let failure): failure.reason
            case .failed(_, let reason): reason
            }
        }

        public var description: String {
            switch self {
            case .unreadable(let failure): "\(failure)"
            case .damaged(let path, let reason): "'\(path)' is damaged: \(reason)"
            case .unwritable(let failure): "\(failure)"
            case .failed(let path, let reason): "cannot write '\(path)': \(reason)"
            }
        }
    }

    /// Returns the value; `nil` if there is no file.
    public func read() throws(Failure) -> Value? {
        let bytes: [UInt8]
        do { bytes = try SafeFile.read(path, .ours, atMost: Self.maximumBytes) } catch {
            if error.reason == .system(ENOENT) { return nil }
            throw .unreadable(error)
        }
        do { return try JSONDecoder().decode(Value.self, from: Data(bytes)) } catch {
            throw .damaged(path: path, reason: "\(error)")
        }
    }

    /// Removes the file, if there is one.
    public func remove() { unlink(path) }

    /// Replaces the file as a whole and returns when that is durable; creates its folder.
    public func replace(_ value: Value) throws(Failure) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let json: Data
        do { json = try encoder.encode(value) } catch { throw .failed(path: path, reason: "\(error)") }
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            do { try Self.makeFolder(String(path[..<slash])) } catch { throw .unwritable(error) }
        }
        do { try DurableFile.replace(path, with: json + [UInt8(ascii: "\n")], mode: mode) } catch {
            throw .unwritable(error)
        }
    }

    /// Creates the folder and those above it.
    private static func makeFolder(_ folder: String) throws(DurableFile.Failure) {
        if mkdir(folder, 0o755) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = folder.lastIndex(of: "/"), slash > folder.startIndex else {
            throw DurableFile.Failure(folder)
        }
        try makeFolder(String(folder[..<slash]))
        guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw DurableFile.Failure(folder) }
    }
}
