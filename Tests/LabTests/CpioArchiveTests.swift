// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

struct CpioArchiveTests {
    @Test func `headers, names and contents are written aligned`() {
        var archive = CpioArchive()
        archive.addFolder("modules")
        archive.addFile("init", Array("hello".utf8), executable: true)
        let bytes = archive.finished()
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(bytes.count % 512 == 0)
        #expect(text.hasPrefix("07070100000001000041ed"))
        #expect(text.contains("init\0"))
        #expect(text.contains("000081ed"))
        #expect(text.contains("TRAILER!!!\0"))
        // Header (110) and name ("modules" with its zero, 8) end at 118, so the next entry begins at 120.
        #expect(String(decoding: bytes[120..<126], as: UTF8.self) == "070701")
    }
}
