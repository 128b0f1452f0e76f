// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Simulation
import TestSupport
import Testing

@testable import EvenkeelCLI

/// Traces in a folder, an archive or a single file.
///
/// The tests run serially, as each checks for files that the previous one left.
@Suite(.serialized) struct TraceFilesTests {
    private let files = ["a": "10\n20\n", "b": "30\r\n40\r\n", "day/c": "50\n"]

    private func write(to folder: URL) throws {
        for (name, text) in files {
            let file = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data(text.utf8).write(to: file)
        }
    }

    @Test func `a folder is read with its subfolders but without hidden files`() async throws {
        try await Program.inFolder { folder in
            try write(to: folder)
            try Data("no trace".utf8).write(to: folder.appendingPathComponent(".hidden"))
            let traces = try await TraceFiles.read(folder.path)
            #expect(traces.map(\.name) == ["a", "b", "day/c"])
            #expect(traces.map(\.demand) == [[0.1, 0.2], [0.3, 0.4], [0.5]])
        }
    }

    @Test(arguments: [("t.tar.gz", "--gzip"), ("t.tgz", "--gzip"), ("t.tar", "--verbose")])
    func `an archive is read like the folder in it`(_ name: String, _ option: String) async throws {
        try await Program.inFolder { folder in
            let traces = folder.appendingPathComponent("traces")
            try write(to: traces)
            let archive = folder.appendingPathComponent(name).path
            try await Command("tar", ["--create", option, "--file", archive, "--directory", traces.path, "."]).run()
            #expect(try await TraceFiles.read(archive) == TraceFiles.read(traces.path))
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: NSTemporaryDirectory())
        #expect(!left.contains { $0.hasPrefix("evenkeel-traces-") }, "the unpacked files are removed")
    }

    @Test func `a single file is one trace`() async throws {
        try await Program.inFolder { folder in
            try write(to: folder)
            let path = folder.appendingPathComponent("b").path
            #expect(try await TraceFiles.read(path).map(\.demand) == [[0.3, 0.4]])
        }
    }

    @Test func `a file that cannot be read is named`() async throws {
        try await Program.inFolder { folder in
            func reason(_ name: String) async -> String {
                do {
                    _ = try await TraceFiles.read(folder.appendingPathComponent(name).path)
                    return "nothing"
                } catch { return "\(error)" }
            }
            #expect(await reason("none").hasSuffix("/none: no such file or folder"))
            try FileManager.default.createDirectory(
                at: folder.appendingPathComponent("empty"),
                withIntermediateDirectories: true
            )
            #expect(await reason("empty").hasSuffix("/empty: the folder contains no traces"))
            try Data("no archive".utf8).write(to: folder.appendingPathComponent("bad.tar.gz"))
            #expect(await reason("bad.tar.gz").contains("bad.tar.gz: cannot unpack"))
            let bad = folder.appendingPathComponent("bad")
            try FileManager.default.createDirectory(at: bad, withIntermediateDirectories: true)
            try Data("1\n2\nthree\n".utf8).write(to: bad.appendingPathComponent("vm-3"))
            #expect(await reason("bad").hasPrefix("vm-3, line 3: a CPU percentage"))
        }
    }
}
