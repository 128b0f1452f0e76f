// SPDX-License-Identifier: Apache-2.0
import HostOS
import Testing

@testable import Identity

@Suite struct PKIFoldersTests {
    @Test func `a reload of libvirtd is retried until it succeeds`() async throws {
        try await Cluster.with { cluster in
            let identity = try await cluster.add(1).load()
            let (root, log) = ("\(cluster.folder)/pki", "\(cluster.folder)/told")
            let deaf = PKIFolders(root: root, reload: Command("false"))
            for _ in 1...2 { await #expect(throws: IdentityError.self) { try await deaf.install(identity) } }
            let hearing = PKIFolders(root: root, reload: Command("bash", ["-c", "echo told >> \(log)"]))
            for _ in 1...3 { try await hearing.install(identity) }
            #expect(try await cluster.shell("cat \(log)") == "told\n")
        }
    }

    @Test func `the permissions of a key that was open to others are corrected`() async throws {
        try await Cluster.with { cluster in
            let identity = try await cluster.add(1).load()
            let pki = PKIFolders(root: "\(cluster.folder)/pki", reload: Command("true"))
            try await pki.install(identity)
            #expect(try pki.write(identity) == false)
            let keys = "find \(cluster.folder)/pki -name '*key.pem'"
            _ = try await cluster.shell("chmod 644 $(\(keys))")
            #expect(try pki.write(identity))
            #expect(try await cluster.shell("\(keys) -printf '%m '") == "600 600 600 600 ")
        }
    }

    @Test func `QEMU receives a group of RFC 7919, so that it searches for none`() async throws {
        try await Cluster.with { cluster in
            let identity = try await cluster.add(1).load()
            let root = "\(cluster.folder)/pki"
            let pki = PKIFolders(root: root, reload: Command("true"))
            #expect(try pki.write(identity))
            let file = "\(root)/qemu/dh-params.pem"
            #expect(try await cluster.shell("openssl pkeyparam -in \(file) -noout -text").contains("ffdhe3072"))
            // The administrator's own parameters stay.
            _ = try await cluster.shell("echo mine > \(file)")
            #expect(try pki.write(identity) == false)
            #expect(try await cluster.shell("cat \(file)") == "mine\n")
        }
    }
}
