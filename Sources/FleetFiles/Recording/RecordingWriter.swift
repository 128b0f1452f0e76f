// SPDX-License-Identifier: Apache-2.0
internal import Coordination
internal import Foundation

/// Writes a recording: JSON Lines, the header first, then one line per event.
///
/// Each line is passed to the kernel before the effects of its event are performed, so the recording of a killed
/// process is complete.
struct RecordingWriter {
    let path: String
    private let file: FileHandle
    private let encoder = JSONEncoder()

    /// Creates a new file that only its owner can read.
    ///
    /// If the name is taken, uses the first free name of `name.2`, `name.3` and so on: a service that restarts must
    /// neither overwrite a recording nor fail to start.
    init(path wanted: String, _ header: RecordingHeader) throws(FleetFileError) {
        var (path, number) = (wanted, 1)
        var descriptor = Self.create(path)
        while descriptor < 0, errno == EEXIST, number < Self.mostFiles {
            number += 1
            path = "\(wanted).\(number)"
            descriptor = Self.create(path)
        }
        guard descriptor >= 0 else { throw Self.error(path, "cannot be created", String(cString: strerror(errno))) }
        try self.init(FileHandle(fileDescriptor: descriptor, closeOnDealloc: true), path: path, header)
    }

    /// Starts a recording in an open, empty file.
    init(_ file: FileHandle, path: String, _ header: RecordingHeader) throws(FleetFileError) {
        self.path = path
        self.file = file
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try write(header)
    }

    func append(_ step: RecordedStep<some Core>) throws(FleetFileError) { try write(step) }

    private func write(_ line: some Encodable) throws(FleetFileError) {
        do {
            try file.write(contentsOf: try encoder.encode(line) + Data("\n".utf8))
        } catch {
            throw Self.error(path, "cannot be written", error.localizedDescription)
        }
    }

    /// Maximum number of recordings with one name: a service that keeps restarting must not fill the disk.
    private static let mostFiles = 100

    private static func create(_ path: String) -> Int32 {
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o600)
    }

    private static func error(_ path: String, _ what: String, _ why: String) -> FleetFileError {
        FleetFileError(file: path, reason: "the recording \(what): \(why)")
    }
}
