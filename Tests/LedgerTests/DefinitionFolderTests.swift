// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

/// Copies of VM definitions in a folder to which others can write.
struct DefinitionFolderTests {
    private static let vm = VMID("aaaaaaaa-0000-4000-8000-00000000000a")
    private static let other = VMID("bbbbbbbb-0000-4000-8000-00000000000b")
    private let one = HostName("h1")
    private let two = HostName("h2")
    private let cluster = TestCluster()

    private func copy(
        _ vm: VMID = Self.vm,
        by host: HostName? = nil,
        at: Instant = writtenAt,
        xml: String = "<domain>\n  <name>web1</name>\n</domain>\n"
    ) -> DefinitionCopy {
        DefinitionCopy(
            host: host ?? one,
            at: at,
            definition: VMDefinition(id: vm, name: "web1", xml: xml, digest: "0123", startsWithHost: true)
        )
    }

    private func key(_ host: HostName) -> SigningKey { cluster.key(of: .host(host)) }

    /// Runs the body with a ledger of the members h1 and h2.
    private func with(_ body: (DefinitionFolder, String) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            _ = (key(one), key(two))
            try await body(DefinitionFolder(inLedger: folder), folder)
        }
    }

    private func read(_ folder: DefinitionFolder) async throws -> DefinitionFolder.Content {
        try await folder.read(cluster.readersSecurity, now: writtenAt)
    }

    /// Returns the reason why the only file is refused.
    private func refusal(_ folder: DefinitionFolder) async throws -> DefinitionRefusal? {
        let files = try await read(folder).files
        try #require(files.count == 1)
        guard case .failure(let refusal) = files[0].copy else { return nil }
        return refusal
    }

    private func file(_ folder: String, _ host: String = "h1", _ vm: VMID = Self.vm) -> String {
        "\(folder)/definitions/\(host)/\(vm).json"
    }

    @Test func `a copy that its host signed is read as it was written`() async throws {
        try await with { folder, path in
            try folder.write(copy(), signedBy: key(one))
            let content = try await read(folder)
            #expect(content.files.map(\.host) == [one] && content.files.map(\.vm) == [Self.vm])
            #expect(try content.files[0].copy.get() == copy())
            #expect(content.files[0].removal == nil && content.warnings == [])
            #expect(try names(in: "\(path)/definitions/h1") == ["\(Self.vm).json"])
            var changed = copy()
            changed.goneSince = writtenAt
            try folder.write(changed, signedBy: key(one))
            #expect(try await read(folder).files.map { try $0.copy.get() } == [changed])
        }
    }

    @Test func `a copy without a signature counts only in an unsigned ledger`() async throws {
        try await with { folder, _ in
            try folder.write(copy(), signedBy: nil)
            #expect(try await refusal(folder) == .unsigned)
            #expect(try await folder.read(.unsigned, now: writtenAt).files.map { try $0.copy.get() } == [copy()])
        }
    }

    @Test func `a copy that another member or a stranger signed is refused`() async throws {
        try await with { folder, _ in
            for signer in [key(two), SigningKey()] {
                try folder.write(copy(), signedBy: signer)
                #expect(try await refusal(folder) == .wrongSigner(key: signer.verification.id))
            }
        }
    }

    @Test func `an altered copy is refused`() async throws {
        try await with { folder, path in
            try folder.write(copy(), signedBy: key(one))
            let text = String(decoding: try contents(of: file(path)), as: UTF8.self)
            let altered = text.replacing("web1", with: "web2")
            #expect(altered != text)
            try put(altered.utf8, into: file(path))
            #expect(try await refusal(folder) == .altered)
        }
    }

    @Test func `a signature of the host for something else does not count`() async throws {
        try await with { folder, path in
            var signed = try SignedDefinition(copy(), signedBy: key(one))
            signed.signature = Data(try key(one).signature(of: Array(signed.copy.utf8))).base64EncodedString()
            try folder.write(copy(), signedBy: key(one))
            try put(try signed.json, into: file(path))
            #expect(try await refusal(folder) == .altered)
        }
    }

    @Test func `a copy that was renamed, or states another host, is refused`() async throws {
        try await with { folder, path in
            try folder.write(copy(), signedBy: key(one))
            try FileManager.default.moveItem(atPath: file(path), toPath: file(path, "h1", Self.other))
            #expect(try await refusal(folder) == .wrongPlace(Self.vm, one))
            try put(try SignedDefinition(copy(by: two), signedBy: key(one)).json, into: file(path, "h1", Self.other))
            #expect(try await refusal(folder) == .wrongPlace(Self.vm, two))
        }
    }

    @Test func `a copy from the future is refused`() async throws {
        try await with { folder, _ in
            try folder.write(copy(at: writtenAt + .seconds(601)), signedBy: key(one))
            #expect(try await refusal(folder) == .fromTheFuture(ahead: .seconds(601)))
            var gone = copy()
            gone.goneSince = writtenAt + .seconds(700)
            try folder.write(gone, signedBy: key(one))
            #expect(try await refusal(folder) == .fromTheFuture(ahead: .seconds(700)))
        }
    }

    @Test(arguments: ["", "{}", "not JSON", #"{"copy":"{}"}"#]) func `a malformed file is refused`(
        text: String
    ) async throws {
        try await with { folder, path in
            try folder.write(copy(), signedBy: key(one))
            try put(text.utf8, into: file(path))
            let refusal = try await folder.read(.unsigned, now: writtenAt).files.map { file in
                if case .failure(.malformed) = file.copy { true } else { false }
            }
            #expect(refusal == [true])
        }
    }

    @Test func `a definition that could control a terminal is refused`() async throws {
        try await with { folder, _ in
            try folder.write(copy(xml: "<domain>\u{1b}[2J</domain>"), signedBy: key(one))
            guard case .malformed = try await refusal(folder) else {
                Issue.record("it was accepted")
                return
            }
        }
    }

    @Test func `a huge file, a link and a FIFO are refused without reading them`() async throws {
        try await with { folder, path in
            try folder.write(copy(), signedBy: key(one))
            func expectUnreadable(_ what: Comment) async throws {
                guard case .unreadable = try await refusal(folder) else {
                    Issue.record(what)
                    return
                }
            }
            let file = file(path)
            try put(Data(count: DefinitionFolder.largestFile + 1), into: file)
            try await expectUnreadable("a huge file was read")
            try FileManager.default.removeItem(atPath: file)
            try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "/dev/zero")
            try await expectUnreadable("a link was followed")
            try FileManager.default.removeItem(atPath: file)
            #expect(mkfifo(file, 0o600) == 0)
            try await expectUnreadable("a FIFO was read")
        }
    }

    @Test func `of a host with too many files only the allowed number is read`() async throws {
        try await with { folder, path in
            try folder.write(copy(), signedBy: key(one))
            for number in 0..<DefinitionFolder.copiesPerHost {
                try put("{}".utf8, into: "\(path)/definitions/h1/\(number).json")
            }
            let content = try await read(folder)
            #expect(content.files.count == DefinitionFolder.copiesPerHost)
            #expect(content.warnings.count == 1 && content.warnings[0].contains("definitions/h1: only 1000 of 1001"))
        }
    }

    @Test func `one VM is read without the others, by its UUID or name`() async throws {
        try await with { folder, path in
            for host in [one, two] { try folder.write(copy(by: host), signedBy: key(host)) }
            // A file whose name is the VM's name must not hide the VM.
            try put("{}".utf8, into: file(path, "h1", VMID("web1")))
            try put("{}".utf8, into: file(path, "h1", Self.other))
            for wanted in [Self.vm.rawValue, "web1"] {
                let content = try await folder.read(cluster.readersSecurity, now: writtenAt, wanted: wanted)
                #expect(content.files.filter { $0.vm == Self.vm }.map(\.host) == [one, two], "\(wanted)")
                #expect(!content.files.contains { $0.vm == Self.other })
            }
            let none = try await folder.read(cluster.readersSecurity, now: writtenAt, wanted: "web9")
            #expect(none.files.isEmpty && none.otherNames == ["web1"])
        }
    }

    @Test func `of a host with too many bytes only a part is read`() async throws {
        try await with { folder, path in
            try folder.write(copy(), signedBy: key(one))
            let large = Data(count: DefinitionFolder.largestFile)
            let count = DefinitionFolder.bytesPerHost / DefinitionFolder.largestFile + 1
            for number in 0..<count { try put(large, into: "\(path)/definitions/h1/\(100 + number).json") }
            try folder.write(copy(by: two), signedBy: key(two))
            let content = try await read(folder)
            #expect(content.files.count < count + 2 && content.files.contains { $0.host == two })
            #expect(content.warnings.count == 1 && content.warnings[0].contains("more than 64 MiB"))
        }
    }

    @Test func `a folder with more files than can be listed costs no other host`() async throws {
        try await with { folder, path in
            for host in [one, two] { try folder.write(copy(by: host), signedBy: key(host)) }
            for number in 0...FolderListing.maximum {
                try put("{}".utf8, into: "\(path)/definitions/h1/\(number).json")
            }
            let content = try await read(folder)
            #expect(content.files.contains { $0.host == two } && content.warnings.count == 1)
            let wanted = try await folder.read(cluster.readersSecurity, now: writtenAt, wanted: Self.vm.rawValue)
            #expect(wanted.files.map(\.host) == [one, two])
        }
    }

    @Test func `a folder with too many hosts' folders hides no member's copies`() async throws {
        try await with { folder, path in
            let hosts = (1...12).map { HostName("h\($0)") }
            for host in hosts { try folder.write(copy(by: host), signedBy: key(host)) }
            try crowd("\(path)/definitions")
            let content = try await read(folder)
            #expect(Set(content.files.map(\.host)) == Set(hosts) && content.files.count == 12)
            #expect(content.warnings.count == 1 && content.warnings[0].contains("not all names were read"))
        }
    }

    @Test func `a folder that belongs to no member is reported and not read`() async throws {
        try await with { folder, _ in
            try folder.write(copy(by: HostName("h3")), signedBy: SigningKey())
            let content = try await read(folder)
            #expect(content.files.isEmpty)
            #expect(content.warnings.count == 1 && content.warnings[0].contains("h3 is not a member"))
        }
    }

    @Test func `a folder of the ledger has the ledger's mode, and may exist, but its parent must`() async throws {
        try await with { _, path in
            let folder = "\(path)/new"
            #expect(throws: LedgerError.self) { try LedgerFolder.make("\(folder)/in", in: folder) }
            for _ in 1...2 { try LedgerFolder.make(folder, in: path) }
            let mode = try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
            #expect(mode == 0o750)
        }
    }

    @Test(arguments: [true, false]) func `a link or a file in place of a folder is refused`(isLink: Bool) async throws {
        try await with { _, path in
            let folder = "\(path)/new"
            if isLink {
                try FileManager.default.createSymbolicLink(atPath: folder, withDestinationPath: "\(path)/elsewhere")
            } else {
                try Data().write(to: URL(filePath: folder))
            }
            #expect(throws: LedgerError.self) { try LedgerFolder.make(folder, in: path) }
            #expect(!FileManager.default.fileExists(atPath: "\(path)/elsewhere"))
        }
    }

    @Test func `a link in place of a host's folder is neither followed nor written through`() async throws {
        try await with { folder, path in
            try folder.write(copy(by: two), signedBy: key(two))
            let target = "\(path)/elsewhere"
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: false)
            try FileManager.default.createSymbolicLink(
                atPath: "\(path)/definitions/h1",
                withDestinationPath: target
            )
            #expect(throws: LedgerError.self) { try folder.write(copy(), signedBy: key(one)) }
            #expect(try names(in: target) == [])
            let content = try await read(folder)
            #expect(content.files.map(\.host) == [two] && content.warnings.count == 1)
        }
    }

    @Test func `the copy of a removed host stays valid and says so`() async throws {
        try await with { folder, _ in
            try folder.write(copy(), signedBy: key(one))
            cluster.revoke(.host(one), at: writtenAt, ends: [:])
            let files = try await read(folder).files
            #expect(try files.map { try $0.copy.get() } == [copy()])
            #expect(files.map(\.removal?.reason) == ["stolen"])
        }
    }

    @Test func `nothing is written where no ledger is`() async throws {
        try await withTemporaryFolder { path in
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            let folder = DefinitionFolder(inLedger: path)
            #expect(throws: LedgerError.self) { try folder.write(copy(), signedBy: nil) }
            #expect(try names(in: path) == [])
            await #expect(throws: LedgerError.self) { try await folder.read(.unsigned, now: writtenAt) }
        }
    }

    @Test(arguments: ["../h2", "", ".", "a/b"]) func `a host whose name is a path gets no folder`(
        name: String
    ) async throws {
        try await with { folder, path in
            #expect(throws: LedgerError.self) { try folder.write(copy(by: HostName(name)), signedBy: nil) }
            let unsafe = copy(VMID("../../ledger"))
            #expect(throws: LedgerError.self) { try folder.write(unsafe, signedBy: nil) }
            #expect(!FileManager.default.fileExists(atPath: "\(path)/definitions"))
        }
    }

    @Test func `the largest definition that is allowed can be stored`() async throws {
        try await with { folder, _ in
            let xml = String(repeating: "\"", count: DefinitionFolder.largestXML)
            try folder.write(copy(xml: xml), signedBy: key(one))
            #expect(try await read(folder).files.map { try $0.copy.get().definition.xml } == [xml])
        }
    }
}
