// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import Testing

@testable import Escort

@Suite struct PreSharedKeysTests {
    static let key = "0123456789abcdef0123456789ABCDEF"
    static let other = String(repeating: "x", count: 40)

    func file(_ text: String, mode: mode_t) -> String {
        let path = "/tmp/eke-keys-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        _ = text.withCString { write(descriptor, $0, strlen($0)) }
        fchmod(descriptor, mode)
        close(descriptor)
        return path
    }

    func secret(_ keys: PreSharedKeys, _ local: HostName, _ peer: HostName) throws -> String? {
        try keys.authentication(local: local, peer: peer).secrets.first?.settings.first { $0.key == "secret" }?.value
    }

    @Test func `a pair's own key overrides the cluster's, in either order of its hosts`() throws {
        let keys = try PreSharedKeys(text: "# ours\n\ncluster \(Self.key)\npair h2 h1 \(Self.other)\n", path: "k")
        #expect(try secret(keys, "h1", "h2") == "0x" + String(repeating: "78", count: 40))
        #expect(try secret(keys, "h1", "h3")?.hasPrefix("0x30313233") == true)
    }

    @Test func `a pair without a key is refused`() throws {
        let keys = try PreSharedKeys(text: "pair h2 h1 \(Self.other)", path: "k")
        #expect(throws: EscortError.self) { try keys.authentication(local: "h1", peer: "h3") }
    }

    @Test(arguments: [
        "", "# nothing", "cluster", "cluster short", "cluster \(key) \(key)", "pair h1 \(key)", "pair h1 h1 \(key)",
        "cluster \(key)\ncluster \(key)", "key \(key)", "cluster \(String(repeating: "é", count: 20))",
    ])
    func `only long keys, each once, are accepted, and errors do not show them`(text: String) {
        let error = #expect(throws: EscortError.self) { try PreSharedKeys(text: text, path: "k") }
        #expect(error?.description.contains(Self.key) == false)
    }

    @Test(arguments: [mode_t(0o640), 0o604, 0o620, 0o644, 0o660])
    func `a file open to others is refused`(mode: mode_t) {
        let path = file("cluster \(Self.key)", mode: mode)
        defer { unlink(path) }
        #expect(throws: EscortError.self) { try PreSharedKeys(contentsOf: path) }
    }

    @Test func `a private file is read, and a link to it is not`() throws {
        let path = file("cluster \(Self.key)", mode: 0o600)
        let link = path + ".link"
        symlink(path, link)
        defer {
            unlink(path)
            unlink(link)
        }
        #expect(try secret(PreSharedKeys(contentsOf: path), "h1", "h2") != nil)
        #expect(throws: EscortError.self) { try PreSharedKeys(contentsOf: link) }
    }

    @Test func `descriptions, dumps and error messages contain no keys`() throws {
        let keys = try PreSharedKeys(text: "cluster \(Self.key)\npair h1 h2 \(Self.other)", path: "k")
        var dumped = ""
        dump(keys, to: &dumped)
        for shown in ["\(keys)", String(reflecting: keys), dumped] {
            #expect(!shown.contains(Self.key) && !shown.contains(Self.other))
        }
        #expect(withoutKeys("syntax error near 0x\(Self.key); at 0x12, 00x") == "syntax error near 0x…; at 0x12, 00x")
    }
}
