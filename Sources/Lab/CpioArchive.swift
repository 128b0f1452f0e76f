// SPDX-License-Identifier: Apache-2.0

/// Writes the archive format of an initramfs ("newc"), so that no cpio program is needed.
struct CpioArchive {
    private(set) var bytes: [UInt8] = []
    private var inode: UInt32 = 0

    mutating func addFolder(_ name: String) { add(name, mode: 0o040755, content: []) }

    mutating func addFile(_ name: String, _ content: [UInt8], executable: Bool = false) {
        add(name, mode: executable ? 0o100755 : 0o100644, content: content)
    }

    /// Returns the archive with its trailer, padded to whole 512-byte blocks.
    func finished() -> [UInt8] {
        var archive = self
        archive.add("TRAILER!!!", mode: 0, content: [])
        while archive.bytes.count % 512 != 0 { archive.bytes.append(0) }
        return archive.bytes
    }

    private mutating func add(_ name: String, mode: UInt32, content: [UInt8]) {
        inode += 1
        let fields: [UInt32] = [
            inode, mode, 0, 0, 1, 0, UInt32(content.count), 0, 0, 0, 0, UInt32(name.utf8.count + 1), 0,
        ]
        bytes += Array("070701".utf8)
        for field in fields { bytes += Array(hexadecimal(UInt64(field), digits: 8).utf8) }
        bytes += Array(name.utf8) + [0]
        pad()
        bytes += content
        pad()
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }
}
