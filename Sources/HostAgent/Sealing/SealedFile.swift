// SPDX-License-Identifier: Apache-2.0
import Crypto
import Fleet
import Foundation
import Hypervisor

/// Writes and opens sealed images; both block, and need memory for a few chunks.
struct SealedFile: Sendable {
    let path: String
    let order: MigrationOrder

    // MARK: writing

    /// Encrypts the image of a saved VM for a public key; leaves no file if it throws.
    func write(_ saved: SavedVM, for key: Curve25519.KeyAgreement.PublicKey) throws -> SealedImage {
        let input = try SealingFiles.reading(saved.path)
        defer { try? input.close() }
        let output = try SealingFiles.creating(path)
        do {
            let image = try write(saved, from: input, to: output, for: key)
            try output.synchronize()
            try output.close()
            return image
        } catch {
            try? output.close()
            unlink(path)
            throw error
        }
    }

    private func write(
        _ saved: SavedVM,
        from input: FileHandle,
        to output: FileHandle,
        for key: Curve25519.KeyAgreement.PublicKey
    ) throws -> SealedImage {
        var sender = try HPKE.Sender(
            recipientKey: key,
            ciphersuite: SealedFormat.suite,
            info: SealedFormat.info(order)
        )
        var hash = SHA256()
        var bytes: UInt64 = 0
        func put(_ data: Data) throws {
            try output.write(contentsOf: data)
            hash.update(data: data)
            bytes += UInt64(data.count)
        }
        func put(_ kind: SealedFormat.Kind, _ data: Data) throws {
            let header = SealedFormat.header(kind, bytes: data.count + SealedFormat.tagBytes)
            try put(header)
            try put(sender.seal(data, authenticating: header))
        }
        try put(SealedFormat.firstLine)
        try put(sender.encapsulatedKey)
        let description = try JSONEncoder().encode(saved)
        guard description.count <= SealedFormat.chunkBytes else {
            throw SealingError("the definition of \(saved.name) has \(description.count) bytes")
        }
        try put(.description, description)
        var left = saved.imageBytes
        var next = try input.read(upToCount: SealedFormat.chunkBytes) ?? Data()
        repeat {
            let chunk = next
            guard UInt64(chunk.count) <= left else { throw SealingError("the image of \(saved.name) is still growing") }
            left -= UInt64(chunk.count)
            next = try input.read(upToCount: SealedFormat.chunkBytes) ?? Data()
            try put(next.isEmpty ? .last : .memory, chunk)
        } while !next.isEmpty
        guard left == 0 else { throw SealingError("the image of \(saved.name) is \(left) bytes too short") }
        return SealedImage(
            bytes: bytes,
            digest: hash.finalize().hexadecimal,
            imageBytes: saved.imageBytes,
            stoppedAt: saved.stoppedAt
        )
    }

    // MARK: opening

    /// Decrypts into a new file, and returns the saved VM at its new path; leaves no file if it throws.
    ///
    /// `image` has the sizes and the digest that the source signed. The key is public, so every writer to the storage
    /// can encrypt for it. The digest proves that the file is the source's.
    func open(
        _ image: SealedImage,
        with key: Curve25519.KeyAgreement.PrivateKey,
        to plain: String
    ) throws -> SavedVM {
        let input = try SealingFiles.reading(path)
        defer { try? input.close() }
        guard try input.seekToEnd() == image.bytes else {
            throw SealingError("\(path) does not have the size that \(order.source) signed")
        }
        try input.seek(toOffset: 0)
        let output = try SealingFiles.creating(plain)
        do {
            var reader = Reader(input: input, path: path)
            var saved = try reader.open(order, with: key) { try output.write(contentsOf: $0) }
            guard reader.hash.finalize().hexadecimal == image.digest else {
                throw SealingError("\(path) is not the file that \(order.source) signed")
            }
            let written = try output.offset()
            guard saved.vm == order.vm, saved.imageBytes == image.imageBytes, written == image.imageBytes else {
                throw SealingError("\(path) does not contain what \(order.source) signed")
            }
            try output.close()
            saved.path = plain
            return saved
        } catch {
            try? output.close()
            unlink(plain)
            throw error
        }
    }

    private struct Reader {
        let input: FileHandle
        let path: String
        var hash = SHA256()

        private mutating func take(_ count: Int) throws -> Data {
            var data = Data()
            while data.count < count {
                guard let more = try input.read(upToCount: count - data.count), !more.isEmpty else {
                    throw SealingError("\(path) ends too early")
                }
                data += more
            }
            hash.update(data: data)
            return data
        }

        mutating func open(
            _ order: MigrationOrder,
            with key: Curve25519.KeyAgreement.PrivateKey,
            _ write: (Data) throws -> Void
        ) throws -> SavedVM {
            guard try take(SealedFormat.firstLine.count) == SealedFormat.firstLine else {
                throw SealingError("\(path) is not a sealed image of this version")
            }
            let encapsulated = try take(SealedFormat.encapsulatedKeyBytes)
            var recipient: HPKE.Recipient
            do {
                recipient = try HPKE.Recipient(
                    privateKey: key,
                    ciphersuite: SealedFormat.suite,
                    info: SealedFormat.info(order),
                    encapsulatedKey: encapsulated
                )
            } catch { throw SealingError("\(path) contains no usable key") }
            let (first, description) = try chunk(&recipient)
            guard first == .description, let saved = try? JSONDecoder().decode(SavedVM.self, from: description) else {
                throw SealingError("\(path) does not begin with a VM's description")
            }
            while true {
                let (kind, data) = try chunk(&recipient)
                guard kind != .description else { throw SealingError("\(path) has two descriptions") }
                try write(data)
                if kind == .last { break }
            }
            guard try input.read(upToCount: 1)?.isEmpty ?? true else {
                throw SealingError("\(path) continues after its end")
            }
            return saved
        }

        private mutating func chunk(_ recipient: inout HPKE.Recipient) throws -> (SealedFormat.Kind, Data) {
            let header = try take(5)
            let size = header.dropFirst().reduce(0) { $0 << 8 | Int($1) }
            guard let kind = SealedFormat.Kind(rawValue: header[header.startIndex]),
                (SealedFormat.tagBytes...SealedFormat.largestChunk).contains(size)
            else { throw SealingError("\(path) was changed, or is for another order or key") }
            let sealed = try take(size)
            do { return (kind, try recipient.open(sealed, authenticating: header)) } catch {
                throw SealingError("\(path) was changed, or is for another order or key")
            }
        }
    }
}
