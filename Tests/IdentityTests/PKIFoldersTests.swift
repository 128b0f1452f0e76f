// SPDX-License-Identifier: Apache-2.0
import Commands
import Testing

@testable import Identity

@Suite struct PKIFoldersTests {
    @Test func `libvirtd is told until it has heard, and then no more`() async throws {
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

    @Test func `a key that was left open to others is closed`() async throws {
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

    @Test func `QEMU is given a group of RFC 7919, so that it searches for none`() async throws {
        try await Cluster.with { cluster in
            let identity = try await cluster.add(1).load()
            let root = "\(cluster.folder)/pki"
            #expect(try PKIFolders(root: root, reload: Command("true")).write(identity))
            let group = "openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe3072"
            #expect(try await cluster.shell("diff <(\(group)) \(root)/qemu/dh-params.pem && echo same") == "same\n")
        }
    }
}
