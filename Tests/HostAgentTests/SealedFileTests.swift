// SPDX-License-Identifier: Apache-2.0
import HostOS
import Crypto
import Fleet
import Foundation
import Hypervisor
import Ledger
import Testing

@testable import HostAgent

/// Sealed images: an unchanged image opens, and a changed one is refused completely.
@Suite struct SealedFileTests {
    private static let order = MigrationOrder.testOrder(channel: .sealed)
    private let key = Curve25519.KeyAgreement.PrivateKey()

    /// A saved VM of a given size, sealed in its own folder.
    private struct Sealed {
        let folder: String
        let image: SealedImage
        let memory: Data
        var path: String { "\(folder)/o1" }
        var plain: String { "\(folder)/plain" }

        func open(
            _ key: Curve25519.KeyAgreement.PrivateKey,
            of order: MigrationOrder = SealedFileTests.order,
            as image: SealedImage? = nil
        ) throws -> SavedVM {
            try SealedFile(path: path, order: order).open(image ?? self.image, with: key, to: plain)
        }
    }

    private func withSealed(_ bytes: Int, _ body: (Sealed) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "eks-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var generator = SplitMix64(seed: UInt64(bytes))
        let memory = Data((0..<bytes).map { _ in UInt8.random(in: 0...255, using: &generator) })
        try memory.write(to: URL(filePath: "\(folder)/image"))
        let saved = SavedVM(
            vm: Self.order.vm,
            name: "web1",
            path: "\(folder)/image",
            imageBytes: UInt64(bytes),
            definition: "<domain><graphics passwd='a secret of the console'/></domain>",
            startsWithHost: true,
            stoppedAt: .now
        )
        let image = try SealedFile(path: "\(folder)/o1", order: Self.order).write(saved, for: key.publicKey)
        try body(Sealed(folder: folder, image: image, memory: memory))
    }

    /// Bypasses the digest check, which alone would refuse it, so that the encryption is tested, too.
    private func resigned(_ sealed: Sealed, _ data: Data) -> SealedImage {
        var image = sealed.image
        image.bytes = UInt64(data.count)
        image.digest = SHA256.hash(data: data).hexadecimal
        return image
    }

    @Test(arguments: [0, 1, SealedFormat.chunkBytes - 1, SealedFormat.chunkBytes, 2 * SealedFormat.chunkBytes + 7])
    func `a sealed image opens unchanged`(bytes: Int) throws {
        try withSealed(bytes) { sealed in
            let saved = try sealed.open(key)
            #expect(saved.path == sealed.plain && saved.vm == vm && saved.startsWithHost)
            #expect(saved.definition?.contains("a secret of the console") == true)
            #expect(try Data(contentsOf: URL(filePath: sealed.plain)) == sealed.memory)
            for path in [sealed.path, sealed.plain] {
                let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
                #expect(mode == 0o600)
            }
            let data = try Data(contentsOf: URL(filePath: sealed.path))
            #expect(UInt64(data.count) == sealed.image.bytes && sealed.image.bytes > sealed.image.imageBytes)
            #expect(data.range(of: Data("a secret of the console".utf8)) == nil)
            if bytes > 64 { #expect(data.range(of: sealed.memory.prefix(64)) == nil) }
        }
    }

    @Test func `digest and encryption both refuse any flipped bit`() throws {
        var generator = SplitMix64(seed: 1)
        try withSealed(SealedFormat.chunkBytes + 5000) { sealed in
            let data = try Data(contentsOf: URL(filePath: sealed.path))
            // All of the first part, with headers and key, and some of the rest.
            let head = Array(0..<120)
            for place in head + (0..<40).map({ _ in generator.below(data.count) }) {
                var changed = data
                changed[place] ^= UInt8(1 << generator.below(8))
                try changed.write(to: URL(filePath: sealed.path))
                for image in [sealed.image, resigned(sealed, changed)] {
                    #expect(throws: SealingError.self, "byte \(place)") {
                        try sealed.open(key, as: image)
                    }
                    #expect(!FileManager.default.fileExists(atPath: sealed.plain))
                }
            }
        }
    }

    @Test func `missing, repeated and moved chunks are refused`() throws {
        let size = SealedFormat.chunkBytes
        try withSealed(3 * size + 100) { sealed in
            let data = try Data(contentsOf: URL(filePath: sealed.path))
            let whole = 5 + SealedFormat.largestChunk
            let tail = 5 + 100 + SealedFormat.tagBytes
            let begin = data.count - tail - 3 * whole
            let head = data.prefix(begin)
            let chunks = (0..<3).map { data.subdata(in: begin + $0 * whole..<begin + ($0 + 1) * whole) }
            let last = data.suffix(tail)
            let altered: [(String, Data)] = [
                ("truncated in a chunk", data.prefix(data.count - 10)),
                ("without its last chunk", data.prefix(data.count - tail)),
                ("one left out", head + chunks[0] + chunks[2] + last),
                ("two exchanged", head + chunks[1] + chunks[0] + chunks[2] + last),
                ("one repeated", head + chunks[0] + chunks[0] + chunks[1] + chunks[2] + last),
                (
                    "ended early by a kind that was changed",
                    head + Data([SealedFormat.Kind.last.rawValue]) + chunks[0].dropFirst()
                ),
                ("something after the end", data + Data([0])),
                ("nothing", Data()),
            ]
            for (name, bytes) in altered {
                try bytes.write(to: URL(filePath: sealed.path))
                #expect(throws: SealingError.self, "\(name)") { try sealed.open(key, as: resigned(sealed, bytes)) }
                #expect(!FileManager.default.fileExists(atPath: sealed.plain), "\(name)")
            }
        }
    }

    @Test func `another order, VM, source, target or key does not open the image`() throws {
        try withSealed(1000) { sealed in
            var others: [MigrationOrder] = []
            for change in 0..<4 {
                var order = Self.order
                switch change {
                case 0: order.id = OrderID("o2")
                case 1: order.vm = VMID("another")
                case 2: order.source = HostName("h3")
                default: order.target = HostName("h3")
                }
                others.append(order)
            }
            for order in others { #expect(throws: SealingError.self) { try sealed.open(key, of: order) } }
            let another = Curve25519.KeyAgreement.PrivateKey()
            #expect(throws: SealingError.self) { try sealed.open(another) }
            _ = try sealed.open(key)
        }
    }

    /// The key is public: anyone who can write to the storage can encrypt for it.
    @Test func `an image that another party sealed for the same key is refused`() throws {
        try withSealed(1000) { sealed in
            let forged = SavedVM(
                vm: Self.order.vm,
                name: "web1",
                path: "\(sealed.folder)/image",
                imageBytes: 1000,
                definition: "<domain>theirs, as long as the other one: 2026-11-25</domain>",
                startsWithHost: true,
                stoppedAt: .now
            )
            _ = try SealedFile(path: sealed.path, order: Self.order).write(forged, for: key.publicKey)
            let error = #expect(throws: SealingError.self) { try sealed.open(key) }
            #expect(error?.description.contains("that h1 signed") == true)
        }
    }

    @Test func `an order ID that is not a valid file name is refused`() throws {
        for id in ["../x", "a/b", ".hidden", "", "a b", String(repeating: "a", count: 129), "ü"] {
            #expect(throws: SealingError.self, "\(id)") { try SealedFormat.fileName(OrderID(id)) }
        }
        #expect(try SealedFormat.fileName(OrderID("by-hand-0a.9_Z")) == "by-hand-0a.9_Z")
    }
}
