// SPDX-License-Identifier: Apache-2.0
import HostOS
import Glibc
import Testing

/// The writer of identities and of the journal of orders.
@Suite struct DurableFileTests {
    private func with(_ body: (String) async throws -> Void) async throws {
        let folder = "/tmp/evenkeel-durable-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        guard mkdir(folder, 0o700) == 0 else { throw CannotMake(folder: folder) }
        let result: Result<Void, any Error>
        do { result = .success(try await body(folder)) } catch { result = .failure(error) }
        _ = try await Command("rm", ["-rf", folder]).result()
        try result.get()
    }

    private struct CannotMake: Error {
        var folder: String
    }

    @Test func `a file is replaced by a new one with the requested mode`() async throws {
        try await with { folder in
            let path = "\(folder)/a"
            try DurableFile.replace(path, with: "old".utf8, mode: 0o644)
            // Programs that have it open, and links to it, keep the old file.
            #expect(link(path, "\(folder)/b") == 0)
            try DurableFile.replace(path, with: "new".utf8, mode: 0o666)
            let seen = try await Command("bash", ["-c", "cd \(folder); stat -c '%n %a' *; cat a b"]).run()
            #expect(seen == "a 666\nb 644\nnewold")
        }
    }

    @Test func `a failed write leaves the old file and no other files`() async throws {
        try await with { folder in
            _ = try await Command("bash", ["-ec", "cd \(folder); mkdir taken; echo old > a"]).run()
            let taken = #expect(throws: DurableFile.Failure.self) {
                try DurableFile.replace("\(folder)/taken", with: "new".utf8, mode: 0o600)
            }
            #expect(
                taken?.path == "\(folder)/taken" && taken?.description.contains("directory") == true,
                "\(taken as Any)"
            )
            let nowhere = #expect(throws: DurableFile.Failure.self) {
                try DurableFile.replace("\(folder)/none/a", with: "new".utf8, mode: 0o600)
            }
            #expect(nowhere?.reason == "No such file or directory")
            #expect(try await Command("bash", ["-c", "cd \(folder); ls -A; cat a"]).run() == "a\ntaken\nold\n")
        }
    }
}
